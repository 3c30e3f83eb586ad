"""Pictures of the screens, compared with those that were looked at and found good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from console.tui.memory import Memory
from tests.tui.consoles import seen, still, utc, written_fleet  # noqa: F401
from workers.clock import ManualClock

pytestmark = pytest.mark.usefixtures("utc")

Compare = Callable[..., bool]


def after(*keys: str, shows: tuple[str, ...] = ()) -> Callable[[Pilot[Any]], Any]:
    """Return what waits for the fleet, presses keys, and waits for words."""

    async def run(pilot: Pilot[Any]) -> None:
        await seen(pilot, "support", "billing")
        await pilot.pause(0.25)
        for key in keys:
            await pilot.press(key)
        await seen(pilot, *shows)
        await pilot.pause()

    return run


def test_fleet_at_80x24(snap_compare: Compare) -> None:
    """The smallest terminal shows every bot, what is wrong with it, and the log of the worst."""
    assert snap_compare(still(written_fleet()), terminal_size=(80, 24), run_before=after(shows=("again in 2 s",)))


def test_fleet_at_140x40(snap_compare: Compare) -> None:
    """A larger one shows more columns."""
    assert snap_compare(still(written_fleet()), terminal_size=(140, 40), run_before=after(shows=("again in 2 s",)))


def test_fleet_marked_and_filtered(snap_compare: Compare) -> None:
    """Marks and the filter are to be seen."""
    keys = ("space", "space", "slash", *"is:trouble", "enter", "3")
    assert snap_compare(still(written_fleet()), run_before=after(*keys, shows=("messages a minute",)))


def test_fleet_in_plain_signs_and_high_contrast(snap_compare: Compare) -> None:
    """Without a single sign beyond ASCII, in the theme of strongest contrast."""
    memory = Memory(None)
    memory.put(plain=True, theme="botdeck-contrast", glance="events")
    app = still(written_fleet(), memory=memory, readonly=True)
    assert snap_compare(app, run_before=after(shows=("KeyError at bank.py:12",)))


def test_lost_link(snap_compare: Compare) -> None:
    """The last picture is greyed and says how old it is."""
    control, clock = written_fleet(), ManualClock(1_700_000_000.0)

    async def lose(pilot: Pilot[Any]) -> None:
        await after(shows=("again in 2 s",))(pilot)
        control.lost.set()
        await seen(pilot, "NO LINK")
        await clock.advance(12)
        await seen(pilot, "data 12s old")

    assert snap_compare(still(control, clock=clock), run_before=lose)


def test_logs(snap_compare: Compare) -> None:
    """Standing still at a line, with a search."""
    keys = ("l", "ctrl+f", *"patience", "enter")
    assert snap_compare(still(written_fleet()), run_before=after(*keys, shows=("standing still",)))


def test_events(snap_compare: Compare) -> None:
    """What happened, and who asked for it."""
    assert snap_compare(still(written_fleet()), terminal_size=(140, 40), run_before=after("e", shows=("holidays",)))


def test_help(snap_compare: Compare) -> None:
    """The keys of the fleet screen."""
    assert snap_compare(
        still(written_fleet()), terminal_size=(140, 60), run_before=after("question_mark", shows=("Restart:",))
    )


def test_confirm(snap_compare: Compare) -> None:
    """An order to several bots lists them and begins on Cancel."""
    keys = ("asterisk", "x")
    assert snap_compare(still(written_fleet()), run_before=after(*keys, shows=("Stop 8 bots?",)))


def test_palette(snap_compare: Compare) -> None:
    """Actions first."""
    assert snap_compare(still(written_fleet()), run_before=after("ctrl+p", *"res", shows=("Reset quarantine",)))
