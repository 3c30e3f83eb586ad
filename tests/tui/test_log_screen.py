"""Logs and events over a real fleet: follow, stand still, search, filter, copy, save, read back."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.runtime import Fleet
from console.tui.screens.events import EventsScreen
from console.tui.screens.logs import LogsScreen
from console.tui.widgets.log_pane import LogPane
from console.tui.widgets.log_view import LogView
from tests.tui.consoles import console, running_fleet, screen_text, seen, told
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

logger = logging.getLogger("workers.test")


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet", "shop") as running:
        yield running


def write(*texts: str, bot_id: str = "poet", level: int = logging.INFO) -> None:
    for text in texts:
        logger.log(level, "%s", text, extra={"bot_id": bot_id})


def pane_of(pilot: Pilot[Any]) -> tuple[LogPane, LogView]:
    pane = pilot.app.screen.query_one(LogPane)
    return pane, pane.view


async def test_following_ends_by_going_up_and_begins_again_at_the_end(fleet: Fleet) -> None:
    """New lines come by themselves; who reads stands still and sees how many have come; End follows again."""
    write(*(f"old {n}" for n in range(60)))
    async with console(fleet.control) as pilot:
        await pilot.press("l")
        await seen(pilot, "old 59", "following")
        await pilot.press("up", "up")
        _, view = pane_of(pilot)
        top = view.scroll_offset.y
        write("fresh one", "fresh two")
        await seen(pilot, "2 new lines: End follows")
        assert view.scroll_offset.y == top
        assert "fresh two" not in screen_text(pilot)
        await pilot.press("end")
        await seen(pilot, "fresh two", "following")
        await pilot.press("f")
        await seen(pilot, "standing still")
        await pilot.press("down")
        await seen(pilot, "following")


async def test_lines_move_up_as_they_were_drawn(fleet: Fleet) -> None:
    """A new line is made, those before it only move; what a search finds, and another width, makes all of them anew."""
    write(*(f"old {n}" for n in range(60)))
    async with console(fleet.control) as pilot:
        await pilot.press("l")
        await seen(pilot, "old 59", "following")
        _, view = pane_of(pilot)
        last = view.room.height - 1
        before = view.render_line(last)
        write("fresh one")
        await seen(pilot, "fresh one")
        assert view.render_line(last - 1) is before
        assert "fresh one" in view.render_line(last).text
        view.highlight(re.compile("59"))
        assert view.render_line(last - 1) is not before
        assert view.render_line(last - 1).text == before.text


async def test_scrolling_with_the_wheel_stands_still_too(fleet: Fleet) -> None:
    """The mouse ends following as the keys do."""
    write(*(f"old {n}" for n in range(60)))
    async with console(fleet.control) as pilot:
        await pilot.press("l")
        await seen(pilot, "old 59")
        _, view = pane_of(pilot)
        view.scroll_up(animate=False)
        await eventually(lambda: not view.following)
        view.scroll_end(animate=False)
        await eventually(lambda: view.following)


async def test_search_moves_and_filter_asks(fleet: Fleet) -> None:
    """A search goes from hit to hit among all lines; a filter leaves only those that pass; both at once."""
    write("apple", "pear", "apple pie", "plum")
    write("apple of the shop", bot_id="shop", level=logging.ERROR)
    async with console(fleet.control) as pilot:
        await pilot.press("l")
        await seen(pilot, "apple of the shop")
        pane, view = pane_of(pilot)

        def here() -> str:
            assert view.current is not None
            return pane.lines[view.current].text

        await pilot.press("ctrl+f", *"apple", "enter")
        assert here() == "apple of the shop"
        await pilot.press("N")
        assert here() == "apple pie"
        await pilot.press("n", "n")
        assert here() == "apple"
        assert "plum" in screen_text(pilot)
        await pilot.press("slash", *"bot:poet", "space", *"^(apple|plum)", "enter")
        await eventually(lambda: [line.text for line in pane.lines.slice(0, 99)] == ["apple", "apple pie", "plum"])
        await pilot.press("slash", "escape", "L", "L")
        await eventually(lambda: [line.text for line in pane.lines.slice(0, 99)] == ["apple of the shop"])
        await pilot.press("slash", "ctrl+u", *"level:loud", "enter")
        await seen(pilot, "loud is no level")


async def test_a_filter_with_nothing_to_show_says_so(fleet: Fleet) -> None:
    """An empty pane has words of its own."""
    async with console(fleet.control) as pilot:
        await pilot.press("l", "slash", *"nothinglikethis", "enter")
        await seen(pilot, "No log line passes this filter")


async def test_long_lines_wrap_and_tracebacks_unfold(fleet: Fleet) -> None:
    """Wrapped, every character of a line and of its traceback can be read; Enter shows one line whole."""
    try:
        raise LookupError("the very last word")
    except LookupError:
        logger.exception("%s END", "long " * 40, extra={"bot_id": "poet"})
    async with console(fleet.control) as pilot:
        await pilot.press("l")
        await seen(pilot, "long long")
        assert "END" not in screen_text(pilot)
        await pilot.press("w")
        await seen(pilot, "END", "the very last word")
        await pilot.press("w", "up", "enter")
        await seen(pilot, "END", "the very last word", "Esc closes")


def copied(pilot: Pilot[Any]) -> str:
    return pilot.app.clipboard


async def test_lines_are_copied_and_saved(fleet: Fleet, tmp_path: Path) -> None:
    """One line, what is seen, or everything into a file that is not overwritten."""
    write("first", "second")
    async with console(fleet.control) as pilot:
        await pilot.press("l")
        await seen(pilot, "second")
        await pilot.press("y")
        await told(pilot, "copied one line")
        assert copied(pilot).endswith("info     poet: second")
        await pilot.press("Y")
        assert "first" in copied(pilot)
        for answer in ("saved ", "not saved"):
            await pilot.press("ctrl+s", "ctrl+u", *str(tmp_path / "log.txt"), "enter")
            await told(pilot, answer)
    text = (tmp_path / "log.txt").read_text()
    assert "poet: first\n" in text


async def test_a_selection_is_copied(fleet: Fleet) -> None:
    """What the mouse selects is what is copied, also over several lines."""
    write("first of all", "second to none")
    async with console(fleet.control) as pilot:
        await pilot.press("l")
        await seen(pilot, "second to none")
        lines = screen_text(pilot).split("\n")
        y = next(n for n, line in enumerate(lines) if "first of all" in line)
        x = lines[y].index("first")
        await pilot.mouse_down(offset=(x, y))
        await pilot.hover(offset=(x + 6, y + 1))
        await pilot.mouse_up(offset=(x + 6, y + 1))
        await pilot.press("y")
        await told(pilot, "copied the selection")
        first, second = copied(pilot).split("\n")
        assert first == "first of all"
        assert second.endswith("second")


async def test_older_lines_come_from_the_store(fleet: Fleet) -> None:
    """Going up beyond what is here reads further back, without a gap or a repeat."""
    write(*(f"number {n}" for n in range(1300)))
    async with console(fleet.control) as pilot:
        await pilot.press("l", "slash", *"number", "enter")
        pane, view = pane_of(pilot)
        await eventually(lambda: pane._asked.pattern == "number" and not pane._intake.loading)
        assert len(pane.lines) == 500
        while len(pane.lines) < 1300:
            here = len(pane.lines)
            await pilot.press("home")
            await eventually(lambda here=here: len(pane.lines) > here)  # type: ignore[misc]
        await pilot.press("home", "home")
        texts = [line.text for line in pane.lines.slice(pane.lines.first, pane.lines.end)]
        assert texts == [f"number {n}" for n in range(1300)]
        assert view.current == pane.lines.first


async def test_jumping_to_a_time(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment is found also where its lines have to be read from the store first."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    async with console(fleet.control) as pilot:
        write("long ago")
        began = fleet.clock.now()
        write(*(f"number {n}" for n in range(1200)))
        await pilot.press("l")
        await seen(pilot, "number 1199")
        pane, view = pane_of(pilot)
        pane.go_to_time(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began)))

        def there() -> bool:
            at = view.current
            first = at is None or at == pane.lines.first or pane.lines[at - 1].at < int(began)
            return at is not None and first and pane.lines[at].at >= int(began)

        await eventually(there)
        pane.go_to_time("soon")
        await told(pilot, "soon is no moment")


async def test_marked_bots_have_a_log_of_their_own(fleet: Fleet) -> None:
    """With marks, l shows the lines of the marked bots only."""
    write("of the poet")
    write("of the shop", bot_id="shop")
    async with console(fleet.control) as pilot:
        await pilot.press("j", "space", "l")
        await seen(pilot, "log of shop", "of the shop")
        assert isinstance(pilot.app.screen, LogsScreen)
        assert "of the poet" not in screen_text(pilot)
        await pilot.press("5")
        await seen(pilot, "filter since:1h", "of the shop")
        await pilot.press("0", "escape")
        await seen(pilot, "1 marked")


async def test_events_say_who_did_what(fleet: Fleet) -> None:
    """Orders stand among what happened, by whom; b opens the bot; what comes with every message is left out."""
    async with console(fleet.control) as pilot:
        await fleet.pool.stop("shop", actor="cli:anna", reason="holidays")
        await pilot.press("e")
        await seen(pilot, "stop (holidays) asked for by anna (cli)", "the fleet started")
        await pilot.press("O")
        await seen(pilot, "filter kind:OperatorActed")
        await eventually(lambda: "the fleet started" not in screen_text(pilot))
        assert isinstance(pilot.app.screen, EventsScreen)
        assert pilot.app.screen.targets() == ["shop"]
        await pilot.press("O", "slash", *"by:anna", "enter")
        await eventually(lambda: "the fleet started" not in screen_text(pilot))
        await seen(pilot, "holidays")


async def test_a_filter_turned_round_leaves_lines_out(fleet: Fleet) -> None:
    """`!` before a word keeps its lines away, those to come too; the screen one is on is not opened twice."""
    write("polling one", "answered one")
    async with console(fleet.control) as pilot:
        await pilot.press("l")
        await seen(pilot, "polling one", "answered one")
        await pilot.press("slash", *"!POLLING", "enter")
        await eventually(lambda: "polling one" not in screen_text(pilot))
        write("polling two", "answered two")
        await seen(pilot, "answered one", "answered two")
        assert "polling" not in screen_text(pilot)
        await pilot.press("l")
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 3
