"""Outages are told in few lines, whatever the number of bots: blips not at all, a fleet's once."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio
import pytest

from config.vocabulary import FLEET
from tests.waiting import eventually
from workers.bus import Bus, Subscription
from workers.clock import ManualClock
from workers.outage import RECONNECTS_PER_S, SPREAD_CAP_S, SWEEP_S, Outages, OutageWatch

pytestmark = pytest.mark.anyio

BOTS = [f"b{number:03}" for number in range(100)]


class Tower:
    """A watch at work, and what it says."""

    def __init__(self, clock: ManualClock, heard: Subscription, caplog: pytest.LogCaptureFixture) -> None:
        self.outages = Outages()
        self._clock = clock
        self._heard = heard
        self._caplog = caplog

    def lose(self, *bot_ids: str, reason: str = "no route") -> None:
        for bot_id in bot_ids:
            self.outages.note(bot_id, reason, self._clock.monotonic())

    def find(self, *bot_ids: str) -> None:
        for bot_id in bot_ids:
            self.outages.over(bot_id)

    async def pass_time(self, seconds: float = 2 * SWEEP_S) -> list[tuple[str, str]]:
        """Let time pass; return the new lines with the bot each is of."""
        before = len(self._caplog.records)
        await self._clock.advance(seconds)
        return [(record.bot_id, record.getMessage()) for record in self._caplog.records[before:]]  # type: ignore[attr-defined]

    def events(self) -> list[str]:
        return [event.kind for event in self._heard.take()]


@pytest.fixture
async def tower(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Tower]:
    bus = Bus()
    caplog.set_level(logging.INFO)
    with bus.subscribe() as heard:
        made = Tower(clock, heard, caplog)
        watch = OutageWatch(made.outages, clock, bus, lambda: len(BOTS))
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run)
            await eventually(lambda: made.outages._began is not None)
            yield made
            group.cancel_scope.cancel()


async def test_a_blip_is_not_worth_a_line(tower: Tower) -> None:
    """A connection of every bot breaks and is made again two seconds later."""
    tower.lose(*BOTS)
    await tower.pass_time(2)
    tower.find(*BOTS)
    assert await tower.pass_time() == []
    assert tower.events() == []


async def test_one_bot_is_told_by_name_and_when_it_is_back(tower: Tower) -> None:
    """One warning when it lasts, one line when it is over, none in between."""
    tower.lose("b007", reason="refused")
    assert await tower.pass_time() == [("b007", "out of reach: refused")]
    tower.lose("b007", reason="refused")
    assert await tower.pass_time(600) == []
    tower.find("b007")
    assert await tower.pass_time() == [("b007", "the server is reached again")]
    assert tower.events() == []


async def test_several_bots_share_a_line(tower: Tower) -> None:
    """Those that are lost together are named together, a few of them."""
    tower.lose(*BOTS[:20])
    assert await tower.pass_time() == [(FLEET, "b000, b001, b002, b003, b004 and 15 more: out of reach: no route")]


async def test_half_of_the_fleet_is_told_once(tower: Tower) -> None:
    """Whatever happens around the half: one error and one event, then one line and one event when it is over."""
    tower.lose(*BOTS[:60])
    ((bot_id, line),) = await tower.pass_time()
    assert (bot_id, line) == (FLEET, "60 bots cannot reach their server: no route; they try again by themselves")
    tower.lose(*BOTS)
    assert await tower.pass_time(60) == []
    assert tower.outages.fleetwide == "100 bots cannot reach their server: no route"
    tower.find(*BOTS[:60])
    assert await tower.pass_time() == [], "40 of 100: it is not over, and not to be told again when more follow"
    tower.find(*BOTS[60:98])
    first, rest = await tower.pass_time()
    assert first == (FLEET, "the fleet reaches its server again after 85 s")
    assert rest == (FLEET, "b098, b099: out of reach: no route"), "those left over are told of for themselves"
    assert tower.events() == ["NetworkLost", "NetworkRegained"]


def test_why_a_bot_is_out_of_reach_holds_no_secret() -> None:
    """It becomes the headline of a fleet: what a server quotes is masked the first time and later."""
    outages = Outages(lambda text: text.replace("hunter22", "***"))
    for reason in ("gone with hunter22", "still gone with hunter22"):
        outages.note("a", reason, 0.0)
        assert outages.lost["a"].reason == reason.replace("hunter22", "***")


async def test_many_that_come_back_are_spread() -> None:
    """A second sees about RECONNECTS_PER_S of them; nobody waits longer than SPREAD_CAP_S for it."""
    outages = Outages()
    assert outages.spread_s() == 0
    for count in (1, 1000, 100_000):
        for number in range(len(outages.lost), count):
            outages.note(f"b{number}", "gone", 0.0)
        full = min(SPREAD_CAP_S, count / RECONNECTS_PER_S)
        waits = [outages.spread_s() for _ in range(50)]
        assert all(full / 2 <= wait <= full for wait in waits)
        assert len(set(waits)) == 50
