"""The network is away for ten minutes, for all bots: nothing is held against them, and all are back soon after."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.commands.status import headline
from store.events import NetworkLost, NetworkRegained
from tests.network.place import Place, place
from tests.network.proxy import Proxy
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

AWAY_S = 600
BACK_S = 90
BOTS = [f"b{number:02}" for number in range(20)]


def refused(road: Proxy) -> None:
    """The server's machine is there, the server is not."""
    road.refuse()
    road.reset()


def swallowed(road: Proxy) -> None:
    """The way is there, nothing comes back."""
    road.hole()


def forgotten(road: Proxy) -> None:
    """Living connections are forgotten, new ones refused."""
    road.forget()
    road.refuse()


@pytest.mark.parametrize(
    ("outage", "reason"),
    [(refused, "no connection: Connection refused"), (swallowed, "no answer within"), (forgotten, "refused")],
)
async def test_ten_minutes_away(
    tmp_path: Path,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    outage: Callable[[Proxy], None],
    reason: str,
) -> None:
    """Nobody is quarantined, restarted or counted against; the operator is told once; all are back within 90 s."""
    async with place(tmp_path, clock) as it:
        (road,) = it.roads
        await it.start(BOTS, road)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            outage(road)
            await it.lapse(AWAY_S, 2)
            told_away(it, caplog, reason)
            tries = len(road.accepted)
            road.clear()
            ended = clock.monotonic()
            await it.until(lambda: len(it.polling()) == len(BOTS), within_s=BACK_S)
            await it.until(lambda: it.rig.pool.outage is None and not it.rig.services.outages.lost, within_s=BACK_S)
            await it.lapse(10)
        it.assert_unharmed()
        assert_told_once(it, caplog)
        assert_paced([moment - ended for moment in road.accepted[tries:]])
        for number, bot in enumerate(it.bots.values()):
            bot.say(7, f"hello {number}")
        await it.until(lambda: all(bot.sent_to(7) for bot in it.bots.values()), within_s=10)
        assert [bot.sent_to(7)[-1].text for bot in it.bots.values()] == [f"hello {n}" for n in range(len(BOTS))]


def told_away(it: Place, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """While it lasts the status says it, of each bot and of the fleet."""
    assert it.polling() == []
    assert all(reason in said and "Telegram cannot be reached" in said for said in it.reasons()), it.reasons()
    assert it.rig.pool.outage is not None
    assert reason in it.rig.pool.outage
    it.assert_unharmed()


def assert_told_once(it: Place, caplog: pytest.LogCaptureFixture) -> None:
    """One event when it began, one when it ended, and a handful of lines, whatever the number of bots and tries."""
    kinds = Counter(type(event) for event in it.rig.heard)
    assert (kinds[NetworkLost], kinds[NetworkRegained]) == (1, 1)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("workers")]
    assert 2 <= len(lines) <= 8, lines


def assert_paced(moments: list[float]) -> None:
    """First connections after the end are spread: no second sees more than a third of the fleet."""
    seconds = Counter(int(moment) for moment in moments[: len(BOTS)])
    assert max(seconds.values()) <= len(BOTS) / 3, seconds


def test_the_status_has_the_fleets_outage_in_its_first_line() -> None:
    """Whoever asks sees it before any bot."""
    fleet: Any = {
        "name": "shop", "running": True, "pid": 7, "started_at": 1.0, "version": "1", "phases": {"running": 20},
        "held": False, "store_fault": None, "outage": "20 bots cannot reach their server: no route\x1b[2J",
    }  # fmt: skip
    assert headline(fleet, 2.0).endswith("; 20 running; NETWORK: 20 bots cannot reach their server: no route\\x1b[2J")
