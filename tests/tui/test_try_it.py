"""Answers that grow on the screen, and those being made for others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from console.errors import NoFleet
from console.runtime import Fleet, open_fleet
from console.tui import underway
from console.tui.screens.tryit import TryScreen
from tests.console.holding import give_tool
from tests.tui.consoles import Played, console, running_fleet, screen_text, seen, told, written_fleet
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

SLOW = "\n[llm.options]\npiece_delay_s = 60\n"


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    """poet can hold; slow says sixteen letters and then nothing for a minute."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet", "slow") as running:
        give_tool(running.place.root, "poet", tmp_path / "go")
        slow = running.place.root / "bots" / "slow.toml"
        slow.write_text(slow.read_text() + SLOW)
        await running.reloader.reload(patient=False)
        yield running
        running.control.give_up_inquiries()


async def ask(pilot: Any, bot_id: str, text: str) -> None:
    """Try a bot: say something."""
    await pilot.app.push_screen(TryScreen(bot_id))
    await seen(pilot, f"You talk to {bot_id}")
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")


async def test_tools_are_shown_while_they_run(fleet: Fleet, tmp_path: Path) -> None:
    """What goes on is said; the call stays with the answer, with its time, when it is whole."""
    async with console(fleet.control) as pilot:
        await ask(pilot, "poet", "do hold")
        await seen(pilot, "poet calls hold …", "tool hold called …")
        assert "let go" not in screen_text(pilot)
        (tmp_path / "go").touch()
        await seen(pilot, "let go", "tool hold called in", "tokens")
        assert "calls hold" not in screen_text(pilot)


async def test_an_answer_grows_and_its_end_is_told(fleet: Fleet) -> None:
    """What is written stands there while the model writes on; cut off it stays, with the reason."""
    async with console(fleet.control) as pilot:
        await ask(pilot, "slow", "what a long day it was")
        await seen(pilot, "what a long day ", "slow is writing … ", "~4 tokens")
        fleet.control.give_up_inquiries()
        await seen(pilot, "! the bot has ended before there was an answer")
        assert "is writing" not in screen_text(pilot)
        assert screen_text(pilot).count("what a long day") == 2
        await told(pilot, "ended before")


async def test_who_leaves_the_screen_stops_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """The answer is made to its end and stands in the conversations; a new conversation does not show the old one's."""
    async with console(fleet.control) as pilot:
        await ask(pilot, "poet", "do hold")
        await seen(pilot, "poet calls hold")
        await pilot.press("ctrl+n")
        await seen(pilot, "A new conversation")
        assert "hold" not in screen_text(pilot)
        await pilot.press("escape")
        pilot.app.open_bot("poet", "conversations")
        await seen(pilot, "1 being answered: an operator", "(tool hold,")
        (tmp_path / "go").touch()
        await seen(pilot, "you", "let go")
        await eventually(lambda: "being answered" not in screen_text(pilot))


async def test_the_end_of_a_fleet_waits_for_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does for the turns of its bots: what was asked is remembered, though nobody follows it any more."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet") as fleet:
        give_tool(fleet.place.root, "poet", tmp_path / "go")
        await fleet.reloader.reload(patient=False)
        asking = asyncio.ensure_future(fleet.control.say("poet", "do hold", session="s", actor="test"))
        await eventually(lambda: _tools(fleet))
        (tmp_path / "go").touch()
    assert (await asking)["text"] == "let go"
    async with open_fleet(tmp_path / "f", serve=False) as fleet:
        [row] = await fleet.control.conversations("poet")
        assert row["last_text"] == "let go"


async def _tools(fleet: Fleet) -> bool:
    return any(row["tools"] for row in await fleet.control.answering("poet"))


async def test_a_conversation_being_answered_is_marked(fleet: Fleet) -> None:
    """In the list of conversations, and in the overview, with what goes on."""
    await fleet.control.say("poet", "hello", session="s", actor="test")
    asking = asyncio.ensure_future(fleet.control.say("poet", "do hold", session="s", actor="test"))
    async with console(fleet.control, size=(120, 30)) as pilot:
        pilot.app.open_bot("poet")
        await seen(pilot, "1 being answered: an operator (tool hold, ")
        await pilot.press("2")
        await seen(pilot, "you  ✎ tool hold, ")
        await eventually(lambda: "being answered" not in screen_text(pilot))
        fleet.control.give_up_inquiries()
        await asyncio.gather(asking, return_exceptions=True)
        await seen(pilot, "ago · 2")


# --- fleets that were written down ---------------------------------------------------------------------------------


class Losing(Played):
    """A fleet that begins to answer and is gone."""

    async def saying(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        yield {"keep": 0, "more": "half an ans", "tools": [], "age_s": 1.0, "said": None}
        self.lost.set()
        raise NoFleet("the connection to the fleet was lost")


async def test_a_lost_link_is_said_where_the_answer_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What there was of it stays; nothing more is sent until the link is back, and what was typed is not lost."""
    control = Losing(written_fleet().first)
    async with console(control) as pilot:
        await ask(pilot, "support", "hello")
        await seen(
            pilot,
            "half an ans",
            "! the connection to the fleet was lost; a fleet that still runs answers it",
            "No link to the fleet",
        )
        pilot.app.screen.query_one(Input).value = "and now?"
        await pilot.press("enter")
        await told(pilot, "nothing was sent\nwhat you typed")
        assert pilot.app.screen.query_one(Input).value == "and now?"


class Answering(Played):
    """A fleet that answers two chats."""

    async def info(self) -> Any:
        known = await super().info()
        return known | {"capabilities": [*known["capabilities"], "answering"]}

    async def answering(self, bot_id: str) -> list[Any]:
        assert bot_id == "support"
        return ROWS


def row(conversation_id: str, age_s: float, characters: int = 0, *tools: str) -> Any:
    runs = [{"tool": tool, "running": True, "took_s": 1.0, "error": ""} for tool in tools]
    return {
        "client_id": "", "conversation_id": conversation_id, "operator": conversation_id.startswith("operator:"),
        "age_s": age_s, "characters": characters, "tools": runs,
    }  # fmt: skip


ROWS = [row("7", 4.0, 480), row("9", 2.0, 0, "search")]


async def test_the_figures_of_a_bot_name_who_is_answered() -> None:
    """Below the fleet list, of the bot the cursor is on."""
    async with console(Answering(written_fleet().first), size=(160, 40)) as pilot:
        await pilot.press("slash", *"support", "enter", "3")
        await seen(pilot, "2 being answered: chat 7 (writing, 4.0s, ~120 tokens), chat 9 (tool search, 1.0s)")


def test_what_goes_on_is_said_in_words() -> None:
    """Writing, a tool, or neither yet; at most three are named."""
    assert underway.state(row("7", 3.0)) == "asking, 3.0s"
    many = [*ROWS, row("operator:s", 0.5, 1), row("-5:2", 61.0)]
    assert underway.all_of(many) == (
        "4 being answered: chat 7 (writing, 4.0s, ~120 tokens), chat 9 (tool search, 1.0s), "
        "an operator (writing, 500ms, ~1 token) and 1 more"
    )
