"""The fleet as a whole: many bots, few transactions, one shutdown."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from config.vocabulary import Phase
from store.errors import StoreUnavailable
from store.events import StoreFaulted, StoreRecovered
from store.outbox import NewSend
from store.updates import NewUpdate
from tests.waiting import eventually
from tests.workers.pool_rig import Fleet, crash_with, fleet, stubborn
from workers.clock import ManualClock
from workers.errors import BotInvalid, NoSuchBot, WrongPhase
from workers.health import Watchdog
from workers.ledger import AT_ONCE
from workers.worker import Vitals

pytestmark = pytest.mark.anyio


def ids(count: int) -> list[str]:
    return [f"bot{number:04}" for number in range(count)]


async def test_bots_are_listed_by_id(tmp_path: Path, clock: ManualClock) -> None:
    """Whatever the order of their files, and also after one is gone and another is new."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("c", "a")
        await rig.apply()
        assert [bot.bot_id for bot in rig.pool.bots()] == ["a", "c"]
        rig.add("b")
        rig.delete("c")
        await rig.apply()
        assert [bot.bot_id for bot in rig.pool.bots()] == ["a", "b"]
        rows = [bot.as_dict() for bot in rig.pool.bots()]
        assert rows[0]["phase"] == "running"
        assert {"telegram", "last_poll_age_s", "inbox_open", "outbox_open", "config_error"} <= rows[0].keys()


async def test_bots_known_only_to_the_database_are_not_listed(tmp_path: Path, clock: ManualClock) -> None:
    """A bot without a file is no bot of the fleet; removing it deletes its rows all the same."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("gone", "here")
        await rig.apply()
        await rig.written()
    async with fleet(tmp_path, clock) as rig:
        rig.add("here")
        await rig.apply()
        assert [bot.bot_id for bot in rig.pool.bots()] == ["here"]
        with pytest.raises(NoSuchBot):
            await rig.pool.start("gone", actor="ana")
        assert await rig.pool.remove("gone") > 0
        assert await rig.store.bot_ids() == ["here"]
        with pytest.raises(NoSuchBot):
            await rig.pool.remove("gone")


async def test_removing_a_running_bot_drains_it_first(tmp_path: Path, clock: ManualClock) -> None:
    """Its rows are deleted once its turn is finished, and nothing writes them anew."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        await rig.written()
        puppet = rig.puppet("a")
        puppet.turn = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(rig.pool.remove, "a")
            await rig.settle()
            assert rig.phase("a") is Phase.DRAINING
            puppet.turn.set()
        await rig.written()
        assert [bot.bot_id for bot in rig.pool.bots()] == ["b"]
        assert await rig.store.bot_ids() == ["b"]


async def test_one_changed_bot_of_many_touches_no_other(tmp_path: Path, clock: ManualClock) -> None:
    """An edit nudges one keeper, notes one record, and asks the database nothing."""
    async with fleet(tmp_path, clock) as rig:
        rig.add(*ids(300))
        await rig.apply()
        await rig.written()
        nudged = [keeper._nudged for keeper in rig.pool._keepers.values()]
        jobs = rig.store.stats.writer.jobs
        rig.edit("bot0007", prompts={"system": "Be brief."})
        changes = await rig.pool.apply(rig.snapshot())
        assert [change.bot_id for change in changes] == ["bot0007"]
        assert list(rig.pool._ledger._changed) == ["bot0007"]
        assert [event.is_set() for event in nudged].count(True) == 1
        assert rig.store.stats.writer.jobs == jobs


async def test_starting_many_costs_few_transactions(tmp_path: Path, clock: ManualClock) -> None:
    """A start is written down at most three times, all bots of a quarter second together, AT_ONCE in a transaction."""
    async with fleet(tmp_path, clock) as rig:
        rig.add(*ids(300))
        before = rig.store.stats.writer
        await rig.apply()
        await rig.written()
        after = rig.store.stats.writer
        assert rig.pool.phases() == {Phase.RUNNING: 300}
        assert after.jobs - before.jobs <= 3 * 300 / AT_ONCE
        with closing(sqlite3.connect(tmp_path / "botdeck.db")) as connection:
            assert connection.execute("SELECT count(*) FROM bots WHERE phase = 'running'").fetchone() == (300,)


async def test_a_shutdown_drains_all_at_once(tmp_path: Path, clock: ManualClock) -> None:
    """Fifty bots with a turn in flight each take as long as the slowest, not as their sum; `run` ends."""
    async with fleet(tmp_path, clock) as rig:
        rig.add(*ids(50))
        await rig.apply()
        turns = []
        for bot_id in ids(50):
            turn = rig.puppet(bot_id).turn = anyio.Event()
            turns.append(turn)
        async with anyio.create_task_group() as group:
            group.start_soon(rig.pool.shutdown)
            await rig.settle()
            assert rig.pool.phases() == {Phase.DRAINING: 50}
            await clock.advance(15)
            for turn in turns:
                turn.set()
        assert not any(rig.puppet(bot_id).cancelled for bot_id in ids(50))
        assert rig.pool.bots() == []
        await rig.pool.shutdown()


async def test_a_shutdown_ends_in_time_whatever_the_workers_do(tmp_path: Path, clock: ManualClock) -> None:
    """Turns that never end and workers that ignore their cancellation: 25 s, and what was left behind is known."""
    release = anyio.Event()
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["stubborn"] = [stubborn(release)]
        rig.add("stubborn", "slow", "good")
        await rig.apply()
        rig.puppet("slow").turn = anyio.Event()
        began = clock.monotonic()
        async with anyio.create_task_group() as group:
            group.start_soon(rig.pool.shutdown)
            await clock.advance(19.9)
            assert not rig.puppet("slow").cancelled
            await clock.advance(0.2)
            assert rig.puppet("slow").cancelled
            await clock.advance(5)
            await eventually(lambda: rig.pool._closed.is_set())
        assert clock.monotonic() - began < 26
        assert len(rig.pool.leaked) == 1
        states = {state.bot_id: state.phase for state in await rig.store.states()}
        assert states == dict.fromkeys(("stubborn", "slow", "good"), "stopped")
        release.set()
        await rig.settle()


async def test_a_second_signal_cuts_turns_short(tmp_path: Path, clock: ManualClock) -> None:
    """cut_short cancels what is still in flight, at once."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.puppet("a").turn = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(rig.pool.shutdown)
            await rig.settle()
            rig.pool.cut_short()
        assert rig.puppet("a").cancelled


async def test_nothing_is_asked_of_a_fleet_that_shuts_down(tmp_path: Path, clock: ManualClock) -> None:
    """Intents are refused, new files are not taken in."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.puppet("a").turn = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(rig.pool.shutdown)
            await rig.settle()
            with pytest.raises(WrongPhase, match="shutting down"):
                await rig.pool.stop("a", actor="ana")
            rig.add("b")
            assert await rig.pool.apply(rig.snapshot()) == ()
            rig.puppet("a").turn.set()  # type: ignore[union-attr]
        assert "b" not in rig.puppets


async def test_cancelling_the_pool_cancels_every_worker(tmp_path: Path, clock: ManualClock) -> None:
    """The task group above ends: workers are cancelled and may clean up, none is left running."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        puppets = [rig.puppet("a"), rig.puppet("b")]
    assert [puppet.cancelled for puppet in puppets] == [True, True]


async def fault(rig: Fleet) -> None:
    """Let the database refuse writes, as it does when its file was taken away."""
    path = rig.store.path
    path.rename(path.with_suffix(".away"))
    assert not await rig.store.probe(0)


async def mend(rig: Fleet) -> None:
    path = rig.store.path
    path.with_suffix(".away").rename(path)


async def test_a_database_at_fault_is_reported_once_and_tried_each_second(tmp_path: Path, clock: ManualClock) -> None:
    """One StoreFaulted, one StoreRecovered with the time in between; what changed meanwhile is written down after."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        await rig.written()
        await fault(rig)
        rig.edit("a", name="Alice")
        await rig.apply()
        for _ in range(5):
            await clock.advance(1)
        assert rig.store.fault is not None
        await mend(rig)

        async def recovered() -> bool:
            await clock.advance(1)
            return rig.store.fault is None and any(isinstance(e, StoreRecovered) for e in rig.heard)

        await eventually(recovered)
        assert len([event for event in rig.heard if isinstance(event, StoreFaulted)]) == 1
        (over,) = [event for event in rig.heard if isinstance(event, StoreRecovered)]
        assert over.after_s >= 5
        await rig.written()
        state = await rig.store.partition("a").state.load()
        assert state is not None
        assert (state.name, state.generation) == ("Alice", 2)


async def test_nothing_is_started_while_the_database_refuses(tmp_path: Path, clock: ManualClock) -> None:
    """A bot that crashed waits for the database as well as for its back-off, then starts by itself."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(StoreUnavailable("gone"))]
        rig.add("a")
        await rig.apply()
        await fault(rig)
        await clock.advance(120)
        assert (rig.phase("a"), len(rig.puppets["a"])) == (Phase.BACKOFF, 1)
        await mend(rig)

        async def running() -> bool:
            await clock.advance(1)
            return rig.phase("a") is Phase.RUNNING

        await eventually(running)


async def test_a_worker_that_cannot_say_how_it_is_hides_no_other(tmp_path: Path, clock: ManualClock) -> None:
    """Its status has no vitals; the others' are there, and they are still watched."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        rig.puppet("a").vitals = None  # type: ignore[assignment]
        assert [bot.last_poll_age_s for bot in rig.pool.bots()] == [None, 0.0]
        rig.puppet("b").seen = Vitals(poll_in_flight_s=1000.0)
        await clock.advance(7)
        assert (len(rig.puppets["a"]), len(rig.puppets["b"])) == (1, 2)


async def test_one_of_the_pool_s_own_services_may_fail(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in the watchdog is logged and the watchdog begins again; no bot notices."""
    sweeps: list[float] = []

    def stumble(_: object) -> None:
        sweeps.append(clock.monotonic())
        raise RuntimeError("stumbled")

    monkeypatch.setattr(Watchdog, "sweep", stumble)
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        await clock.advance(30)
        assert len(sweeps) >= 4
        assert rig.phase("a") is Phase.RUNNING


async def test_phases_are_counted(tmp_path: Path, clock: ManualClock) -> None:
    """The counts agree with the list, whatever bots do."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["bot0001"] = [crash_with(ValueError())]
        rig.scripts["bot0002"] = [crash_with(BotInvalid("x"))]
        rig.add(*ids(9))
        rig.edit("bot0003", enabled=False)
        rig.spoil("bot0004", "bad")
        await rig.apply()
        await rig.pool.stop("bot0005", actor="ana")
        rig.delete("bot0006")
        await rig.apply()
        counted: dict[Phase, int] = {}
        for bot in rig.pool.bots():
            counted[bot.phase] = counted.get(bot.phase, 0) + 1
        assert rig.pool.phases() == {phase: counted[phase] for phase in Phase if phase in counted}
        assert sum(counted.values()) == 8


@pytest.mark.parametrize("others", [0, 20])
async def test_what_lies_open_for_a_bot_at_rest_is_shown_whenever_it_comes(
    tmp_path: Path, clock: ManualClock, others: int
) -> None:
    """A stopped bot whose file appears later, alone or with many, shows what an earlier process left unanswered."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("here")
        await rig.apply()
        late = rig.store.partition("late")
        await late.state.save(1, desired="stop")
        await late.updates.receive([NewUpdate(n, "7", "{}") for n in range(3)], 3, 1)
        await late.outbox.add([NewSend(7, "7", "sendMessage", "{}")], 1)
        rig.add("late", *(f"other{n}" for n in range(others)))
        await rig.apply()
        await rig.until("late", Phase.STOPPED)
        shown = rig.bot("late").as_dict()
        assert (shown["inbox_open"], shown["outbox_open"]) == (3, 1)
