"""One bot from start to rest: its phases, its crashes, its drain."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from config.errors import FleetError
from config.vocabulary import Condition, Phase
from store.errors import StoreFull
from store.events import BotFailed, BotStopped, Quarantined
from tests.workers.pool_rig import Puppet, crash_with, fleet, never_ready, serve, stubborn
from workers.channels.base import Identity
from workers.clock import ManualClock
from workers.errors import BotInvalid, TokenRejected
from workers.worker import Vitals

pytestmark = pytest.mark.anyio


async def test_a_bot_goes_from_its_file_to_running(tmp_path: Path, clock: ManualClock) -> None:
    """A new file is queued, started and running once its worker says it is ready, not before."""
    gate = anyio.Event()

    async def slow(puppet: Puppet, on_ready: object) -> None:
        await gate.wait()
        await serve(puppet, on_ready)  # type: ignore[arg-type]

    async with fleet(tmp_path, clock) as rig:
        rig.default = slow
        rig.add("a")
        await rig.apply()
        assert rig.phase("a") is Phase.STARTING
        assert rig.bot("a").conditions.get("ready") is None
        gate.set()
        await rig.settle()
        assert rig.phase("a") is Phase.RUNNING
        assert rig.bot("a").conditions["ready"]["status"]
        assert rig.kinds("a") == ["BotStarted"]


async def test_a_bot_waits_for_its_slot(tmp_path: Path, clock: ManualClock) -> None:
    """Beyond [start] max_starting and rate_per_s bots are queued, and start as slots come free."""
    async with fleet(tmp_path, clock) as rig:
        rig.start = {"rate_per_s": 1, "max_starting": 2}
        rig.add("a", "b", "c")
        await rig.apply()
        assert rig.pool.phases() == {Phase.QUEUED: 2, Phase.RUNNING: 1}
        await clock.advance(1)
        assert rig.pool.phases() == {Phase.QUEUED: 1, Phase.RUNNING: 2}
        await clock.advance(1)
        assert rig.pool.phases() == {Phase.RUNNING: 3}


async def test_a_bot_that_waits_for_the_network_gives_its_slot_back(tmp_path: Path, clock: ManualClock) -> None:
    """After 30 s the next may start; the slow one stays `starting`, uncounted, and may still become ready."""
    gate = anyio.Event()

    async def unreachable(puppet: Puppet, on_ready: object) -> None:
        await gate.wait()
        await serve(puppet, on_ready)  # type: ignore[arg-type]

    async with fleet(tmp_path, clock) as rig:
        rig.start = {"rate_per_s": 0, "max_starting": 1}
        rig.scripts["a"] = [unreachable]
        rig.add("a", "b")
        await rig.apply()
        assert (rig.phase("a"), rig.phase("b")) == (Phase.STARTING, Phase.QUEUED)
        await clock.advance(29.9)
        assert rig.phase("b") is Phase.QUEUED
        await clock.advance(0.2)
        assert (rig.phase("a"), rig.phase("b")) == (Phase.STARTING, Phase.RUNNING)
        await clock.advance(600)
        assert rig.phase("a") is Phase.STARTING
        assert rig.bot("a").restarts == 0
        gate.set()
        await rig.settle()
        assert rig.phase("a") is Phase.RUNNING
        rig.add("c")
        await rig.apply()
        assert rig.phase("c") is Phase.RUNNING, "the slot was given back once, not twice"


async def test_a_crash_is_tried_again_after_a_while(tmp_path: Path, clock: ManualClock) -> None:
    """A crashed bot backs off, says why and until when, and runs again; the event carries its fingerprint."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("bad luck"))]
        rig.add("a")
        await rig.apply()
        bot = rig.bot("a")
        assert (bot.phase, bot.phase_reason) == (Phase.BACKOFF, "ValueError: bad luck")
        assert bot.retry_at is not None
        assert clock.now() < bot.retry_at <= clock.now() + 1
        assert bot.conditions["ready"]["status"] is False
        failed = next(event for event in rig.heard if isinstance(event, BotFailed))
        assert failed.error == "ValueError: bad luck"
        assert failed.fingerprint == "ValueError workers/run.py:_live"
        await clock.advance(1)
        bot = rig.bot("a")
        assert (bot.phase, bot.restarts, bot.retry_at) == (Phase.RUNNING, 1, None)


async def test_five_crashes_alike_are_a_quarantine(tmp_path: Path, clock: ManualClock) -> None:
    """The fifth puts the bot to rest for half an hour, then it is tried once; failing, it rests again."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        rig.default = crash_with(ValueError("again"))
        await rig.apply()
        await clock.advance(60)
        assert rig.phase("a") is Phase.QUARANTINED
        assert len(rig.puppets["a"]) == 5
        condemned = next(event for event in rig.heard if isinstance(event, Quarantined))
        assert condemned.retry_in_s == 1800
        await clock.advance(1700)
        assert len(rig.puppets["a"]) == 5
        await clock.advance(120)
        assert (rig.phase("a"), len(rig.puppets["a"])) == (Phase.QUARANTINED, 6)


async def test_a_try_out_of_quarantine_that_lasts_forgets_it_all(tmp_path: Path, clock: ManualClock) -> None:
    """Ten minutes of readiness after the half-open try, and the next crash is a first one again."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("again"))] * 5
        rig.add("a")
        await rig.apply()
        await clock.advance(60)
        await clock.advance(1800)
        assert rig.phase("a") is Phase.RUNNING
        assert rig.bot("a").failures
        await clock.advance(600)
        assert rig.bot("a").failures == []


async def test_ready_for_less_than_ten_minutes_forgets_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """A bot that dies every two minutes is quarantined all the same: mere starting proves nothing."""

    async def short_lived(puppet: Puppet, on_ready: object) -> None:
        on_ready()  # type: ignore[operator]
        await clock.sleep(110)
        raise ValueError("tired")

    async with fleet(tmp_path, clock) as rig:
        rig.default = short_lived
        rig.add("a")
        await rig.apply()
        await clock.advance(600)
        assert rig.phase("a") is Phase.QUARANTINED


@pytest.mark.parametrize("error", [BotInvalid("the token belongs to another bot"), TokenRejected("401: no such token")])
async def test_what_cannot_run_is_not_tried_again(tmp_path: Path, clock: ManualClock, error: FleetError) -> None:
    """An invalid bot rests for ever, uncounted, with the reason shown."""
    async with fleet(tmp_path, clock) as rig:
        rig.default = crash_with(error, ready=False)
        rig.add("a")
        await rig.apply()
        await clock.advance(7200)
        bot = rig.bot("a")
        assert (bot.phase, bot.phase_reason, bot.restarts) == (Phase.INVALID, error.message, 0)
        assert len(rig.puppets["a"]) == 1
        assert rig.kinds("a") == ["BotInvalid"]


async def test_a_group_of_errors_is_judged_by_what_counts(tmp_path: Path, clock: ManualClock) -> None:
    """BotInvalid anywhere in a group makes the bot invalid; a crash counts before trouble of the database."""
    refused = ExceptionGroup("lanes", [ValueError("x"), ExceptionGroup("more", [BotInvalid("bad token")])])
    crashed = ExceptionGroup("lanes", [StoreFull("full"), KeyError("y")])
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(refused)]
        rig.scripts["b"] = [crash_with(crashed)]
        rig.add("a", "b")
        await rig.apply()
        assert (rig.phase("a"), rig.bot("a").phase_reason) == (Phase.INVALID, "bad token")
        assert (rig.phase("b"), rig.bot("b").phase_reason) == (Phase.BACKOFF, "KeyError: 'y'")


async def test_trouble_of_the_database_is_not_counted(tmp_path: Path, clock: ManualClock) -> None:
    """A worker that ends over a StoreError is tried again, later each time, and never quarantined for it."""
    async with fleet(tmp_path, clock) as rig:
        rig.default = crash_with(StoreFull("no room left"))
        rig.add("a")
        await rig.apply()
        await clock.advance(900)
        bot = rig.bot("a")
        assert bot.phase is Phase.BACKOFF
        assert bot.failures == []
        assert 12 < len(rig.puppets["a"]) < 50


async def test_a_worker_that_just_ends_has_failed(tmp_path: Path, clock: ManualClock) -> None:
    """Returning without having been drained, or cancelling itself, counts as a crash."""

    async def leave(puppet: Puppet, on_ready: object) -> None:
        return

    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [leave, crash_with(__import__("asyncio").CancelledError())]
        rig.add("a")
        await rig.apply()
        assert rig.phase("a") is Phase.BACKOFF
        assert "without being asked" in rig.bot("a").phase_reason
        await clock.advance(1)
        assert rig.phase("a") is Phase.BACKOFF
        assert rig.bot("a").phase_reason == "CancelledError"
        await clock.advance(2)
        assert rig.phase("a") is Phase.RUNNING


async def test_a_stop_lets_the_turn_in_flight_finish(tmp_path: Path, clock: ManualClock) -> None:
    """A drained worker is waited for, not cancelled, while it is within 20 s."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        puppet = rig.puppet("a")
        puppet.turn = anyio.Event()
        await rig.pool.stop("a", actor="ana", reason="lunch")
        await rig.settle()
        assert (rig.phase("a"), rig.bot("a").phase_reason) == (Phase.DRAINING, "stopped by ana: lunch")
        await clock.advance(19.9)
        assert rig.phase("a") is Phase.DRAINING
        puppet.turn.set()
        await rig.settle()
        assert (rig.phase("a"), puppet.cancelled) == (Phase.STOPPED, False)
        assert [e.reason for e in rig.heard if isinstance(e, BotStopped)] == ["stopped by ana: lunch"]


async def test_a_turn_that_takes_too_long_is_cancelled(tmp_path: Path, clock: ManualClock) -> None:
    """After 20 s of drain the worker is cancelled, and has 5 s in which its clean-up may wait for things."""

    async def tidy(puppet: Puppet, on_ready: object) -> None:
        on_ready()  # type: ignore[operator]
        try:
            await anyio.sleep_forever()
        finally:
            await clock.sleep(4.5)
            puppet.cleaned_up = True

    async with fleet(tmp_path, clock) as rig:
        rig.default = tidy
        rig.add("a")
        await rig.apply()
        puppet = rig.puppet("a")
        await rig.pool.stop("a", actor="ana")
        await clock.advance(20)
        assert rig.phase("a") is Phase.DRAINING
        await clock.advance(4.6)
        assert (rig.phase("a"), puppet.cancelled, puppet.cleaned_up) == (Phase.STOPPED, True, True)


async def test_a_worker_that_ignores_its_cancellation_is_left_behind(tmp_path: Path, clock: ManualClock) -> None:
    """25 s after the stop the bot is at rest whatever its worker does; the leak is shown, and a start goes ahead."""
    release = anyio.Event()
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [stubborn(release)]
        rig.add("a")
        await rig.apply()
        puppet = rig.puppet("a")
        await rig.pool.stop("a", actor="ana")
        await clock.advance(25.1)
        assert (rig.phase("a"), puppet.cancelled) == (Phase.STOPPED, True)
        assert len(rig.pool.leaked) == 1
        assert puppet.let_gone
        await rig.pool.start("a", actor="ana")
        await rig.settle()
        assert rig.phase("a") is Phase.RUNNING
        release.set()
        await rig.settle()
        assert rig.pool.leaked == []
        assert rig.phase("a") is Phase.RUNNING, "what a worker left behind does no longer matters"


async def test_a_crash_while_draining_does_not_bring_the_bot_back(tmp_path: Path, clock: ManualClock) -> None:
    """A stop is a stop, also when the worker fails on its way out; nothing is counted."""

    async def fail_late(puppet: Puppet, on_ready: object) -> None:
        on_ready()  # type: ignore[operator]
        await puppet.drained.wait()
        raise ValueError("on the way out")

    async with fleet(tmp_path, clock) as rig:
        rig.default = fail_late
        rig.add("a")
        await rig.apply()
        await rig.pool.stop("a", actor="ana")
        await clock.advance(60)
        assert (rig.phase("a"), rig.bot("a").failures) == (Phase.STOPPED, [])


async def test_a_bot_that_is_starting_can_be_stopped(tmp_path: Path, clock: ManualClock) -> None:
    """A stop reaches a bot that never became ready."""
    async with fleet(tmp_path, clock) as rig:
        rig.default = never_ready
        rig.add("a")
        await rig.apply()
        await rig.pool.stop("a", actor="ana")
        await rig.settle()
        assert rig.phase("a") is Phase.STOPPED


async def test_counters_outlive_a_worker(tmp_path: Path, clock: ManualClock) -> None:
    """Turns, errors and identity of a run that has ended are kept and added to."""
    seen = Vitals(turns=5, errors=2, ambiguous_sends=1, outbox_open=3, identity=Identity(77, "support_bot"))
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.puppet("a").seen = seen
        await rig.pool.stop("a", actor="ana")
        await rig.settle()
        bot = rig.bot("a")
        assert (bot.turns, bot.errors, bot.ambiguous_sends, bot.outbox_open) == (5, 2, 1, 3)
        assert bot.telegram == {"id": 77, "username": "support_bot"}
        await rig.pool.start("a", actor="ana")
        await rig.settle()
        rig.puppet("a").seen = Vitals(turns=1, in_turn=1)
        assert (rig.bot("a").turns, rig.bot("a").in_turn) == (6, 1)


async def test_a_bot_whose_worker_cannot_be_made_backs_off(tmp_path: Path, clock: ManualClock) -> None:
    """An exception in making the worker is a failure like any other, BotInvalid makes the bot invalid."""
    async with fleet(tmp_path, clock) as rig:
        made: list[str] = []

        def refuse(spec: object, *_: object, **__: object) -> None:
            made.append(spec.bot_id)  # type: ignore[attr-defined]
            raise BotInvalid("no channel") if spec.bot_id == "a" else ValueError("no way")  # type: ignore[attr-defined]

        rig.pool._house.make_worker = refuse  # type: ignore[assignment]
        rig.add("a", "b")
        await rig.apply()
        assert (rig.phase("a"), rig.phase("b")) == (Phase.INVALID, Phase.BACKOFF)


async def test_a_mistake_in_the_keeper_is_survived(tmp_path: Path, clock: ManualClock) -> None:
    """When the keeper itself stumbles, its worker is ended and the bot tried again; others notice nothing."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        keeper = rig.pool._keepers["a"]
        rig.puppet("a").drain = None  # type: ignore[assignment]
        await rig.pool.restart("a", actor="ana")
        await clock.advance(60)
        assert rig.phase("a") is Phase.RUNNING
        assert rig.pool._keepers["a"] is keeper
        assert (rig.phase("b"), len(rig.puppets["b"])) == (Phase.RUNNING, 1)


async def test_a_worker_left_behind_by_a_stumbling_keeper_is_a_failure(tmp_path: Path, clock: ManualClock) -> None:
    """It can neither be drained nor cancelled: five seconds later the bot backs off, saying so."""
    release = anyio.Event()
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [stubborn(release)]
        rig.add("a")
        await rig.apply()
        rig.puppet("a").drain = None  # type: ignore[assignment]
        await rig.pool.restart("a", actor="ana")
        await clock.advance(5.2)
        bot = rig.bot("a")
        assert bot.phase in {Phase.BACKOFF, Phase.STOPPED, Phase.QUEUED, Phase.RUNNING}
        assert len(rig.pool.leaked) == 1
        await clock.advance(60)
        assert (rig.phase("a"), len(rig.puppets["a"])) == (Phase.RUNNING, 2)
        release.set()
        await rig.settle()


async def test_secrets_in_what_an_exception_says_are_taken_out(tmp_path: Path, clock: ManualClock) -> None:
    """Neither the reason shown nor the event holds a token a crash mentioned."""
    token = "123456789:" + "A" * 35
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError(f"GET https://host/bot{token}/getMe"))]
        rig.scripts["b"] = [crash_with(BotInvalid(f"bad {token}"))]
        rig.add("a", "b")
        await rig.apply()
        said = [rig.bot("a").phase_reason, rig.bot("b").phase_reason, *map(str, rig.heard)]
        assert not any("AAAA" in text for text in said)
        assert rig.bot("a").phase_reason.startswith("ValueError: GET https://host/bot")


async def test_the_condition_hung_is_gone_once_the_bot_serves_again(tmp_path: Path, clock: ManualClock) -> None:
    """A verdict of the watchdog is a failure with its own fingerprint, shown until the bot is ready again."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.pool._keepers["a"].hang("poll", 200.0)
        await rig.settle()
        bot = rig.bot("a")
        assert (bot.phase, rig.puppet("a").cancelled) == (Phase.BACKOFF, True)
        assert bot.conditions["hung"]["status"]
        assert bot.failures[0]["fingerprint"] == "Hung poll"
        assert rig.kinds("a")[1:] == ["HealthCheckFailed", "BotFailed"]
        await clock.advance(1)
        bot = rig.bot("a")
        assert (bot.phase, bot.conditions[Condition.HUNG.value]["status"]) == (Phase.RUNNING, False)
