"""What an operator has not asked for takes no memory: views, bars and pictures are made when they are seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from textual.widgets import Input

from console.runtime import Fleet
from console.tui.widgets.figures import FiguresPane
from console.tui.widgets.fleet_list import FleetList
from console.tui.widgets.log_pane import LogPane
from tests.tui.consoles import console, running_fleet, seen
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with running_fleet(tmp_path, "poet", "shop") as found:
        yield found


async def test_a_view_is_made_when_it_is_seen_and_kept(fleet: Fleet) -> None:
    """One pane of lines at first; events and figures come with their keys, and going back makes nothing anew."""
    async with console(fleet.control) as pilot:
        screen = pilot.app.screen
        [first] = screen.query(LogPane)
        assert not screen.query(FiguresPane)
        await pilot.press("2")
        await eventually(lambda: len(screen.query(LogPane)) == 2)
        assert [pane.id for pane in screen.query(LogPane) if pane.display] == ["glance-events"]
        await pilot.press("3")
        await seen(pilot, "messages a minute")
        await pilot.press("1")
        await eventually(lambda: first.display)
        assert not screen.query_one(FiguresPane).display
        assert len(screen.query(LogPane)) == 2


async def test_figures_are_made_beside_the_lines_once_there_is_room(fleet: Fleet) -> None:
    """A window that grows shows them, one that shrinks hides them."""
    async with console(fleet.control) as pilot:
        await pilot.resize_terminal(160, 40)
        await seen(pilot, "messages a minute")
        await pilot.resize_terminal(100, 40)
        await eventually(lambda: not pilot.app.screen.query_one(FiguresPane).display)


async def test_a_bar_is_made_when_it_is_typed_into(fleet: Fleet) -> None:
    """Nothing to type into before `/`; what is typed at once filters, and Escape takes it away."""
    async with console(fleet.control) as pilot:
        assert not pilot.app.screen.query(Input)
        await pilot.press("slash", *"poet")
        await eventually(lambda: pilot.app.model.index == ["poet"])  # type: ignore[attr-defined]
        await pilot.press("escape")
        await eventually(lambda: len(pilot.app.model.index) == 2)  # type: ignore[attr-defined]


async def test_a_line_that_was_shown_does_not_hold_itself(fleet: Fleet) -> None:
    """Lines let go are freed at once: garbage of a picture four times a second would wait for the collector."""
    async with console(fleet.control) as pilot:
        await seen(pilot, "poet")
        lines = pilot.app.screen.query_one(FleetList)._styles_cache._cache.values()
        assert lines
        assert not [line for line in lines if line._divide_cache]
