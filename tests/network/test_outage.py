"""The network is away for ten minutes, for all bots: nothing is held against them, and all are back soon after."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from console.commands.status import headline
from store.events import NetworkLost, NetworkRegained
from tests.network.place import Place
from tests.network.proxy import Way
from tests.network.ways import OUTAGES, Outage, scene
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

AWAY_S, STEP_S = 600, 10
BACK_S = 90
BOTS = [f"b{number:02}" for number in range(20)]


@pytest.mark.parametrize("outage", OUTAGES, ids=[outage.name for outage in OUTAGES])
async def test_ten_minutes_away(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture, outage: Outage
) -> None:
    """Nobody is quarantined, restarted or counted against; the operator is told once; all are back within 90 s."""
    async with scene(tmp_path, clock, secure=outage.secure) as at:
        it, road = at.it, at.road
        await at.start(BOTS)
        await said(it, "before")
        caplog.clear()
        with caplog.at_level(logging.INFO):
            outage.begin(at)
            await it.lapse(AWAY_S / 2, STEP_S)
            for bot in it.bots.values():
                bot.say(7, "meanwhile")
            await it.lapse(AWAY_S / 2, STEP_S)
            assert_away(it, outage.reason)
            tries = len(road.accepted)
            at.mend()
            ended = clock.monotonic()
            await it.until(lambda: len(it.polling()) == len(BOTS), within_s=BACK_S)
            await it.until(lambda: it.rig.pool.outage is None and not it.rig.services.outages.lost, within_s=BACK_S)
            await it.lapse(10)
        it.assert_unharmed()
        assert_told_once(it, caplog)
        assert_paced([moment - ended for moment in road.accepted[tries:]])
        await said(it, "after")
        assert_answered(it, ["before", "meanwhile", "after"])


async def test_a_fifth_of_a_second_more_each_way_is_no_outage(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Everybody polls all the time, every message is answered once, and there is nothing to tell."""
    async with scene(tmp_path, clock) as at:
        it = at.it
        await at.start(BOTS)
        at.road.hang_up()
        at.road.up = at.road.down = Way(latency_s=0.2)
        await it.lapse(10)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            for minute in range(5):
                await said(it, str(minute))
                await it.lapse(60, STEP_S)
                assert len(it.polling()) == len(BOTS)
        assert_answered(it, [str(minute) for minute in range(5)])
        assert [record for record in caplog.records if record.name.startswith("workers")] == []
        assert not [event for event in it.rig.heard if isinstance(event, NetworkLost)]
        it.assert_unharmed()


async def said(it: Place, text: str) -> None:
    """Have somebody write to each bot, and wait for the answers."""
    for bot in it.bots.values():
        bot.say(7, text)
    await it.until(
        lambda: all(bot.sent_to(7)[-1:] and bot.sent_to(7)[-1].text == text for bot in it.bots.values()), within_s=10
    )


def assert_answered(it: Place, texts: list[str]) -> None:
    """Each message once, in order, by each bot, and none of it in doubt."""
    assert {tuple(sent.text for sent in bot.sent_to(7)) for bot in it.bots.values()} == {tuple(texts)}
    assert {it.rig.bot(bot_id).ambiguous_sends for bot_id in it.bots} == {0}


def assert_away(it: Place, reason: str) -> None:
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
    """Connections after the end, two of each bot, are spread: no second sees more than a quarter of them."""
    seconds = Counter(int(moment) for moment in moments[: 2 * len(BOTS)])
    assert max(seconds.values()) <= len(BOTS) / 2, seconds


def test_the_status_has_the_fleets_outage_in_its_first_line() -> None:
    """Whoever asks sees it before any bot."""
    fleet: Any = {
        "name": "shop", "running": True, "pid": 7, "started_at": 1.0, "version": "1", "phases": {"running": 20},
        "held": False, "store_fault": None, "outage": "20 bots cannot reach their server: no route\x1b[2J",
    }  # fmt: skip
    assert headline(fleet, 2.0).endswith("; 20 running; NETWORK: 20 bots cannot reach their server: no route\\x1b[2J")
