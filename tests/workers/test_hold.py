"""The fleet hold: what half of the fleet suffers alike is not counted against anybody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from config.vocabulary import Phase
from store.events import FleetHeld, FleetReleased
from tests.workers.pool_rig import Fleet, Puppet, Script, crash_with, fleet, serve
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio


class World:
    """Something all bots need. While it is out of order, every worker crashes alike."""

    def __init__(self) -> None:
        self.broken = anyio.Event()

    def script(self) -> Script:
        async def depend(puppet: Puppet, on_ready: Callable[[], None]) -> None:
            on_ready()
            await self.broken.wait()
            raise ConnectionError("the world is out of order")

        return depend

    def mend(self) -> None:
        self.broken = anyio.Event()


def ids(count: int) -> list[str]:
    return [f"b{number:02}" for number in range(count)]


async def running(rig: Fleet, count: int, script: Script) -> None:
    rig.default = script
    rig.add(*ids(count))
    await rig.apply()
    assert rig.pool.phases() == {Phase.RUNNING: count}


async def test_an_outage_quarantines_nobody(tmp_path: Path, clock: ManualClock) -> None:
    """All bots fail alike for an hour: one banner, no failure counted, and afterwards all of them run again."""
    world = World()
    async with fleet(tmp_path, clock) as rig:
        await running(rig, 20, world.script())
        world.broken.set()
        await rig.settle()
        assert rig.pool.held == "ConnectionError workers/run.py:_live"
        assert all(bot.failures == [] for bot in rig.pool.bots()), "those who failed first are forgiven"
        for _ in range(60):
            await clock.advance(60)
        assert rig.pool.phases().keys() <= {Phase.BACKOFF, Phase.STARTING, Phase.QUEUED}
        tries = sum(len(rig.puppets[bot_id]) for bot_id in ids(20)) - 20
        assert 50 <= tries <= 100, "one bot at a time is tried, a minute apart at most"
        world.mend()
        for _ in range(5):
            await clock.advance(60)
        assert rig.pool.phases() == {Phase.RUNNING: 20}
        assert rig.pool.held is None
        assert all(bot.failures == [] for bot in rig.pool.bots())
        fleetwide = [event for event in rig.heard if isinstance(event, FleetHeld | FleetReleased)]
        assert [event.kind for event in fleetwide] == ["FleetHeld", "FleetReleased"]
        assert not [event for event in rig.heard if event.kind == "Quarantined"]


async def test_held_bots_come_back_one_after_the_other(tmp_path: Path, clock: ManualClock) -> None:
    """First one to see, and when it lasts ten seconds the others, half as fast as [start] rate_per_s."""
    world = World()
    async with fleet(tmp_path, clock) as rig:
        rig.start = {"rate_per_s": 4, "max_starting": 100}
        rig.default = world.script()
        rig.add(*ids(12))
        await rig.apply()
        await clock.advance(5)
        world.broken.set()
        await rig.settle()
        world.mend()
        await clock.advance(1)
        assert rig.pool.phases()[Phase.RUNNING] == 1
        await clock.advance(9)
        assert rig.pool.phases()[Phase.RUNNING] == 1
        await clock.advance(2.2)
        running = rig.pool.phases()[Phase.RUNNING]
        assert 4 <= running <= 7
        await clock.advance(1)
        assert rig.pool.phases()[Phase.RUNNING] == running + 2


async def test_a_relapse_holds_the_rest_again(tmp_path: Path, clock: ManualClock) -> None:
    """The first bot lasts and the second does not: nobody else is let go until the next round."""
    world = World()
    async with fleet(tmp_path, clock) as rig:
        await running(rig, 12, world.script())
        world.broken.set()
        await rig.settle()
        world.mend()
        await clock.advance(11.3)
        assert 0 < rig.pool.phases()[Phase.RUNNING] < 12
        world.broken.set()
        await rig.settle()
        assert Phase.RUNNING not in rig.pool.phases()
        assert rig.pool.held
        assert len([event for event in rig.heard if isinstance(event, FleetHeld)]) == 1


async def test_one_bot_s_own_fault_is_counted_during_a_hold(tmp_path: Path, clock: ManualClock) -> None:
    """Another fingerprint is another matter: such a bot backs off and is quarantined as ever."""
    world = World()
    async with fleet(tmp_path, clock) as rig:
        await running(rig, 8, world.script())
        rig.scripts["own"] = [crash_with(ValueError("mine"))] * 5
        world.broken.set()
        await rig.settle()
        rig.add("own")
        await rig.apply()
        await clock.advance(40)
        assert rig.phase("own") is Phase.QUARANTINED
        assert rig.pool.held


@pytest.mark.parametrize(("fleet_size", "failing", "held"), [(2, 2, False), (3, 1, False), (3, 2, True), (10, 4, False), (10, 5, True)])  # fmt: skip
async def test_half_of_the_fleet_it_takes(
    tmp_path: Path, clock: ManualClock, fleet_size: int, failing: int, held: bool
) -> None:
    """Less than half, a single bot, or a fleet of two is no fleet-wide failure."""
    async with fleet(tmp_path, clock) as rig:
        for bot_id in ids(failing):
            rig.scripts[bot_id] = [crash_with(ValueError("x"))]
        await running_or_not(rig, fleet_size)
        assert (rig.pool.held is not None) is held


async def running_or_not(rig: Fleet, count: int) -> None:
    """Start the good ones first: what half is, is seen from those that run."""
    names = ids(count)
    crashing = [name for name in names if rig.scripts[name]]
    rig.add(*(name for name in names if name not in crashing))
    await rig.apply()
    gate = anyio.Event()
    for name in crashing:
        rig.scripts[name] = [held_back(gate, rig.scripts[name][0])]
    rig.add(*crashing)
    await rig.apply()
    gate.set()
    await rig.settle()


def held_back(gate: anyio.Event, then: Script) -> Script:
    async def wait(puppet: Puppet, on_ready: Callable[[], None]) -> None:
        on_ready()
        await gate.wait()
        await then(puppet, lambda: None)

    return wait


async def test_failures_far_apart_are_not_one(tmp_path: Path, clock: ManualClock) -> None:
    """Half of the fleet within ten minutes, but never within one, is counted bot by bot."""
    async with fleet(tmp_path, clock) as rig:
        await running(rig, 4, serve)
        for bot_id in ids(4):
            rig.pool._keepers[bot_id].hang("poll", 200)
            await clock.advance(61)
            assert rig.pool.held is None
        assert all(len(bot.failures) == 1 for bot in rig.pool.bots())


async def test_different_failures_are_not_one(tmp_path: Path, clock: ManualClock) -> None:
    """Ten bots that crash in ten ways at once have ten causes."""
    kinds = [type(f"Error{number}", (Exception,), {}) for number in range(10)]
    async with fleet(tmp_path, clock) as rig:
        for bot_id, kind in zip(ids(10), kinds, strict=True):
            rig.scripts[bot_id] = [crash_with(kind())]
        rig.add(*ids(10))
        await rig.apply()
        assert rig.pool.held is None
        assert all(len(bot.failures) == 1 for bot in rig.pool.bots())


async def test_crash_loops_of_the_many_are_pulled_out_of_quarantine(tmp_path: Path, clock: ManualClock) -> None:
    """Bots condemned in the minute before the rest follows are forgiven as well."""
    gate = anyio.Event()
    async with fleet(tmp_path, clock) as rig:
        for bot_id in ids(4):
            rig.scripts[bot_id] = [crash_with(ValueError("x"))] * 5
        for bot_id in ids(10)[4:]:
            rig.scripts[bot_id] = [held_back(gate, crash_with(ValueError("x")))]
        rig.add(*ids(10)[4:])
        await rig.apply()
        rig.add(*ids(4))
        await rig.apply()
        await clock.advance(35)
        assert rig.pool.phases() == {Phase.RUNNING: 6, Phase.QUARANTINED: 4}
        gate.set()
        await rig.settle()
        assert rig.pool.held
        assert rig.pool.phases() == {Phase.BACKOFF: 10}
        assert all(bot.failures == [] for bot in rig.pool.bots())


async def test_an_operator_needs_no_release(tmp_path: Path, clock: ManualClock) -> None:
    """start, stop and an edit take a bot out of the hold at once."""
    world = World()
    async with fleet(tmp_path, clock) as rig:
        await running(rig, 10, world.script())
        world.broken.set()
        await rig.settle()
        world.mend()
        await rig.pool.start("b03", actor="ana")
        await rig.pool.stop("b04", actor="ana")
        rig.edit("b05", name="Five")
        await rig.apply()
        assert (rig.phase("b03"), rig.phase("b04"), rig.phase("b05")) == (Phase.RUNNING, Phase.STOPPED, Phase.RUNNING)
        assert rig.pool._hold.waiting == 7


async def test_many_fingerprints_do_not_pile_up(tmp_path: Path, clock: ManualClock) -> None:
    """What is remembered of failures is a minute's worth."""
    async with fleet(tmp_path, clock) as rig:
        await running(rig, 4, serve)
        hold = rig.pool._hold
        keeper = rig.pool._keepers["b00"]
        for number in range(200):
            hold.takes(keeper, f"kind {number}", 4)
            await clock.advance(5)
        assert len(hold._recent) <= 13
