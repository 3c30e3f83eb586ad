"""The fleet in a few lines drawn over themselves: no alternate screen, what was on the terminal stays there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, cast

from console.attach import connect
from console.commands.status import cells, headline
from console.control import BotRow
from console.errors import NoFleet
from console.judgement import worst_first
from console.output import fit, print_json_line, table, visible
from console.place import Place
from workers.clock import Clock, SystemClock

AGAIN_S: Final = 1.0
HEADER: Final = ("BOT", "PHASE", "FOR", "POLL", "INBOX", "OUTBOX", "TURNS", "ERRORS", "RESTARTS", "NOTE")


class Picture:
    """The lines shown last. Drawn over on a terminal; elsewhere each picture follows the one before."""

    def __init__(self) -> None:
        self._height = 0
        self._on_terminal = sys.stdout.isatty()

    def draw(self, text: str) -> None:
        """Show a text in place of the one before."""
        lines = fit(text).split("\n")
        over = f"\x1b[{self._height}F\x1b[J" if self._height and self._on_terminal else ""
        # One write, between the marks of one frame: nothing flickers.
        frame = f"\x1b[?2026h{over}{chr(10).join(lines)}\n\x1b[?2026l" if self._on_terminal else f"{text}\n\n"
        sys.stdout.write(frame)
        sys.stdout.flush()
        self._height = len(lines)


async def watch(place: Place, rows: int) -> None:
    """Show the fleet until cancelled. rows 0: as many bots as fit."""
    picture, clock = Picture(), SystemClock()
    fleet: dict[str, Any] = {}
    bots: dict[str, BotRow] = {}
    async with aclosing(_frames(place, clock)) as frames:
        async for frame in frames:
            if frame is None:
                picture.draw(f"{visible(place.name)}: does not run; waiting for it")
                continue
            if frame["full"]:
                bots.clear()
            bots.update({row["bot_id"]: row for row in frame["bots"]})
            for bot_id in frame["gone"]:
                bots.pop(bot_id, None)
            fleet = frame["fleet"]
            picture.draw(_text(fleet, bots, frame["at"], rows))


async def watch_json(place: Place) -> None:
    """Print every frame of the fleet as a line until cancelled; {"running": false} while it does not run."""
    async with aclosing(_frames(place, SystemClock())) as frames:
        async for frame in frames:
            print_json_line({"running": False} if frame is None else frame)


async def _frames(place: Place, clock: Clock) -> AsyncGenerator[dict[str, Any] | None]:
    """Yield the frames of a fleet; None each time it is found not to run."""
    away = False
    while True:
        try:
            remote = await connect(place, clock)
            async with aclosing(cast("Any", remote.feed())) as feed:
                async for frame in feed:
                    away = False
                    yield frame
        except NoFleet:
            if not away:
                yield None
            away = True
        await clock.sleep(AGAIN_S)


def _text(fleet: dict[str, Any], bots: dict[str, BotRow], now: float, rows: int) -> str:
    """Return the picture: what concerns the fleet, the bots that fit, how many more there are."""
    head = [headline(cast("Any", fleet), now), *(f"configuration: {visible(e)}" for e in fleet["config_errors"])]
    if not bots:
        return "\n".join(head)
    room = rows or max(3, shutil.get_terminal_size().lines - len(head) - 3)
    shown = worst_first(bots.values())[:room]
    lines = table(HEADER, [cells(row, now) for row in shown], right=range(2, 9)).split("\n")
    hidden = len(bots) - len(shown)
    return "\n".join([*head, *lines, *([f"… and {hidden} more that need less attention"] if hidden else [])])
