"""The last line of a screen: what the keys do, and that a click does the same."""

from __future__ import annotations

import pytest

from console.tui.screens.help import HelpScreen
from console.tui.widgets.key_line import KeyLine
from tests.tui.consoles import still, written_fleet

pytestmark = pytest.mark.anyio


async def test_a_click_on_a_key_presses_it() -> None:
    """Each key is told with what it does, once; a click on either opens what the key opens, one between two nothing."""
    app = still(written_fleet())
    async with app.run_test(size=(200, 30)) as pilot:
        await pilot.pause()
        line = app.screen.query_one(KeyLine).render_line(0).text
        assert line.count("? Help") == line.count("/ Filter") == 1
        at = line.index("? Help")
        await pilot.click(KeyLine, offset=(at - 1, 0))
        assert not isinstance(app.screen, HelpScreen)
        await pilot.click(KeyLine, offset=(at + 3, 0))
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)


async def test_the_keys_are_those_of_what_has_the_focus() -> None:
    """Somebody who types a filter is told the keys of typing."""
    app = still(written_fleet())
    async with app.run_test(size=(200, 30)) as pilot:
        await pilot.pause()
        line = app.screen.query_one(KeyLine)
        assert "Mark" in line.render_line(0).text
        await pilot.press("slash")
        await pilot.pause()
        assert "Mark" not in line.render_line(0).text
        assert "Typed before" in line.render_line(0).text
