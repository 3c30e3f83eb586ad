"""`make screenshot`: the pictures of README and docs/console.md, taken from the demo as it runs.

The demo's fleet, people and troubles are real; only their pace is quicker. `python -m tests.screenshots [name …]`
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from textual.pilot import Pilot

from console.control import Control
from console.runtime import open_fleet
from console.sandbox.demo import Demo
from console.tui.app import ConsoleApp
from console.tui.memory import Memory
from tests.waiting import eventually

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZE = (112, 34)
PACE = 6.0
SETTLED_TURNS = 60
"""Turns answered before the first picture: every panel has something to show."""

Show = Callable[[Pilot[object]], Awaitable[None]]


def keys(*pressed: str) -> Show:
    async def show(pilot: Pilot[object]) -> None:
        for key in pressed:
            await pilot.press(key)
            await pilot.pause(0.3)

    return show


PICTURES: dict[str, Show] = {
    "fleet": keys("down"),
    "bot": keys("enter"),
    "conversations": keys("enter", "2"),
    "metrics": keys("enter", "3"),
    "config": keys("enter", "6"),
    "people": keys("enter", "7"),
    "usage": keys("dollar_sign"),
    "logs": keys("l"),
    "events": keys("e"),
    "edit": keys("i"),
    "try": keys("t", *"Hello", "enter"),
    "add": keys("a"),
    "palette": keys("ctrl+p"),
    "help": keys("question_mark"),
    "quit": keys("q"),
}


async def settled(control: Control) -> bool:
    status = await control.status()
    return sum(row["turns"] for row in status["bots"]) >= SETTLED_TURNS


async def picture(control: Control, name: str) -> None:
    """Open the console anew, go where the picture is, and take it."""
    app = ConsoleApp(control, attached=False, memory=Memory())
    async with app.run_test(size=SIZE) as pilot:
        await eventually(lambda: app.model.rows)
        await pilot.pause(1.0)
        await PICTURES[name](pilot)
        await pilot.pause(2.0 if name in {"try", "metrics", "edit"} else 0.8)
        svg = app.export_screenshot(title="botdeck", simplify=True)
    (FOLDER / f"{name}.svg").write_text(svg)
    print(FOLDER / f"{name}.svg")


async def take(names: list[str]) -> None:
    """Run the demo and take the pictures named."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="botdeck-") as made:
        root = Path(made)
        async with (
            Demo(root, pace=PACE, show=lambda _: None) as demo,
            open_fleet(root, channels=demo.open_channel, serve=False) as fleet,
            anyio.create_task_group() as group,
        ):
            fleet.logbook.quiet = True
            group.start_soon(demo.run)
            await eventually(lambda: settled(fleet.control), within_s=120)
            for status in fleet.pool.bots():
                await fleet.control.access(status.bot_id, allow=[502], block=[666], actor="cli:anna")
            for name in names:
                await picture(fleet.control, name)
            group.cancel_scope.cancel()


if __name__ == "__main__":
    os.environ.setdefault("TZ", "UTC")
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], help="pictures to take (all)")
    anyio.run(take, parser.parse_args().names or list(PICTURES))
