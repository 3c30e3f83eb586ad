"""Palette, jump and help: getting anywhere without knowing a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.vocabulary import Phase
from console.runtime import Fleet
from console.tui.actions import ACTIONS
from console.tui.memory import Memory
from console.tui.palette import Entry, best
from console.tui.screens.events import EventsScreen
from console.tui.screens.help import explained, keys_of
from console.tui.screens.logs import LogsScreen
from tests.tui.consoles import console, running_fleet, screen_text, seen, told
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet", "shop", "support") as running:
        yield running


async def test_palette_asks_what_then_whom(fleet: Fleet) -> None:
    """First the action, then the bots; Esc goes one step back."""
    async with console(fleet.control) as pilot:
        await pilot.press("ctrl+p", *"paus", "enter")
        await seen(pilot, "Pause: which bot?", "support")
        await pilot.press("escape")
        await seen(pilot, "What is to be done?")
        await pilot.press(*"pause", "enter", *"supp", "enter")
        await told(pilot, "paused: support")


async def test_palette_offers_the_marked_bots_together(fleet: Fleet) -> None:
    """Marked bots come first, as one choice; orders to several are confirmed here too."""
    async with console(fleet.control) as pilot:
        await pilot.press("space", "space", "ctrl+p", *"restart", "enter")
        await seen(pilot, "the marked bots")
        await pilot.press("enter")
        await seen(pilot, "Restart 2 bots?")
        await pilot.press("right", "enter")
        await told(pilot, "restarted: poet, shop")


async def test_palette_changes_themes_and_signs_and_goes_places(fleet: Fleet) -> None:
    """What is no order is found there as well; what cannot be done now is not."""
    async with console(fleet.control, readonly=True) as pilot:
        await pilot.press("ctrl+p", *"theme contrast", "enter")
        await eventually(lambda: pilot.app.theme == "botdeck-contrast")
        await pilot.press("ctrl+p", *"plain", "enter")
        await seen(pilot, "* running")
        await pilot.press("ctrl+p", *"restart")
        await seen(pilot, "nothing fits")
        await pilot.press("escape", "ctrl+p", *"go to logs", "enter")
        await eventually(lambda: isinstance(pilot.app.screen, LogsScreen))


async def test_jump_goes_to_screens_phases_and_back(fleet: Fleet, tmp_path: Path) -> None:
    """`:` and the beginning of a name; what was typed before comes back with the up key."""
    memory = Memory(tmp_path / "memory")
    async with console(fleet.control, memory=memory) as pilot:
        await pilot.press("colon", *"eve", "enter")
        await eventually(lambda: isinstance(pilot.app.screen, EventsScreen))
        await pilot.press("colon", *"flee", "tab", "enter")
        await seen(pilot, "3 running", "poet log")
        await fleet.pool.stop("shop", actor="test")
        await pilot.press("colon", *"stopp", "enter")
        await eventually(lambda: pilot.app.model.index == ["shop"])
        await pilot.press("colon", "up", "up")
        await seen(pilot, "fleet")
        assert memory.history("jump") == ["events", "fleet", "stopped"]
        await pilot.press("escape")
        assert fleet.pool.bot("shop").phase == Phase.STOPPED


async def test_help_is_made_of_the_bindings(fleet: Fleet, tmp_path: Path) -> None:
    """Every action is in it with its key as it is now, and what it does."""
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "keys.toml").write_text('"bot.restart" = "f5"\n')
    async with console(fleet.control, memory=Memory(tmp_path / "memory"), size=(120, 90)) as pilot:
        found = {binding.id: binding for binding in keys_of(pilot.app.screen)}
        assert {action.id for action in ACTIONS} <= found.keys()
        assert found["bot.restart"].key == "f5"
        assert set(found["list.down"].key.split(",")) == {"down", "j"}
        await pilot.press("question_mark")
        await seen(pilot, "F5", "Restart: finish the turns in work", "EVERYWHERE")
        await pilot.press("escape", "l", "question_mark")
        await seen(pilot, "Last 15m")
        assert "Restart:" not in screen_text(pilot)


async def test_help_has_two_columns_where_there_is_room(fleet: Fleet) -> None:
    """At 200x50 all of it is seen at once, the first and the last group side by side."""
    async with console(fleet.control, size=(200, 50)) as pilot:
        await pilot.press("question_mark")
        await seen(pilot, "ORDERS to marked bots", "EVERYWHERE", "Typed after")


def test_every_action_says_what_it_does() -> None:
    """One sentence each, and a dialog wherever something may be regretted."""
    for action in ACTIONS:
        assert action.help
        assert sum([action.order is not None, bool(action.deed), bool(action.opens)]) == 1
        assert bool(action.consequence) == (action.confirm.value != "never"), action.id
    assert len({action.key for action in ACTIONS}) == len(ACTIONS)
    assert explained(__import__("console.tui.actions", fromlist=["BINDINGS"]).BINDINGS[0]).startswith("Start: ")


def test_what_is_typed_finds_the_best_first() -> None:
    """All letters in their order; the list is bounded."""
    entries = [Entry(name, "", lambda: None) for name in ("Reset quarantine", "Restart", "Stop", *map(str, range(99)))]
    assert best(entries, "rest")[0].name == "Restart"
    assert best(entries, "xyz") == []
    assert len(best(entries, "")) == 50
