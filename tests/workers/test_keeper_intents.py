"""What an operator wants of a bot: written down first, then followed, and remembered by the next process."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from config.vocabulary import Phase
from store.errors import StoreUnavailable
from store.events import OperatorActed
from tests.workers.pool_rig import crash_with, fleet
from workers.clock import ManualClock
from workers.errors import BotInvalid, NoSuchBot, WrongPhase

pytestmark = pytest.mark.anyio


async def test_a_stop_is_durable_before_it_is_followed(tmp_path: Path, clock: ManualClock) -> None:
    """When `stop` returns the intent, its actor and its reason are in the database, and the event is out."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        puppet = rig.puppet("a")
        puppet.turn = anyio.Event()
        await rig.pool.stop("a", actor="ana", reason="maintenance")
        state = await rig.store.partition("a").state.load()
        assert state is not None
        assert (state.desired, state.desired_actor, state.desired_reason) == ("stop", "ana", "maintenance")
        (acted,) = [event for event in rig.heard if isinstance(event, OperatorActed)]
        assert (acted.action, acted.actor, acted.reason) == ("stop", "ana", "maintenance")


async def test_an_intent_that_cannot_be_written_down_is_not_followed(tmp_path: Path, clock: ManualClock) -> None:
    """With the database at fault the operator is told so, and the bot goes on as before."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.store._writer.report(StoreUnavailable("the disk is gone"))
        with pytest.raises(StoreUnavailable):
            await rig.pool.stop("a", actor="ana")
        await rig.settle()
        assert rig.phase("a") is Phase.RUNNING
        assert rig.bot("a").desired == "run"
        assert not [event for event in rig.heard if isinstance(event, OperatorActed)]


async def test_pause_and_resume_reach_the_worker_and_the_next_one(tmp_path: Path, clock: ManualClock) -> None:
    """A paused bot stays running and ready; a worker made later is paused from the first."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        await rig.pool.pause("a", actor="ana")
        bot = rig.bot("a")
        assert (rig.puppet("a").paused, bot.paused, bot.phase) == (True, True, Phase.RUNNING)
        await rig.pool.restart("a", actor="ana")
        await rig.settle()
        assert len(rig.puppets["a"]) == 2
        assert rig.puppet("a").paused
        await rig.pool.resume("a", actor="ana")
        assert (rig.puppet("a").paused, rig.bot("a").paused) == (False, False)
        state = await rig.store.partition("a").state.load()
        assert state is not None
        assert state.paused is False


async def test_a_restart_drains_first(tmp_path: Path, clock: ManualClock) -> None:
    """The turn in flight is finished; the bot is drained once and made anew."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        puppet = rig.puppet("a")
        puppet.turn = anyio.Event()
        await rig.pool.restart("a", actor="ana")
        await rig.settle()
        assert rig.phase("a") is Phase.DRAINING
        puppet.turn.set()
        await rig.settle()
        assert (rig.phase("a"), puppet.cancelled, len(rig.puppets["a"])) == (Phase.RUNNING, False, 2)
        assert rig.bot("a").restarts == 1


async def test_the_last_word_counts(tmp_path: Path, clock: ManualClock) -> None:
    """Stop, start, stop in a row, while the worker is still draining for the first: it ends up stopped."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        for bot_id in ("a", "b"):
            rig.puppet(bot_id).turn = anyio.Event()
            await rig.pool.stop(bot_id, actor="ana")
            await rig.settle()
            await rig.pool.start(bot_id, actor="ana")
        await rig.pool.stop("a", actor="ana")
        for bot_id in ("a", "b"):
            rig.puppet(bot_id).turn.set()  # type: ignore[union-attr]
        await rig.settle()
        assert (rig.phase("a"), rig.phase("b")) == (Phase.STOPPED, Phase.RUNNING)


@pytest.mark.parametrize("action", ["start", "restart", "reset"])
async def test_an_operator_ends_quarantine(tmp_path: Path, clock: ManualClock, action: str) -> None:
    """start, restart and reset forget the failures, in the database too, and try the bot at once."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("again"))] * 5
        rig.add("a")
        await rig.apply()
        await clock.advance(60)
        assert rig.phase("a") is Phase.QUARANTINED
        await getattr(rig.pool, action)("a", actor="ana")
        await rig.settle()
        assert (rig.phase("a"), rig.bot("a").failures) == (Phase.RUNNING, [])
        await rig.written()
        state = await rig.store.partition("a").state.load()
        assert state is not None
        assert (state.failures, state.backoff_level, state.retry_at_ms) == ((), 0, None)


async def test_a_reset_is_durable_when_it_returns(tmp_path: Path, clock: ManualClock) -> None:
    """Killed right after it, the next process knows of no failure."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("again"))] * 5
        rig.add("a")
        await rig.apply()
        await clock.advance(60)
        await rig.written()
        await rig.pool.reset("a", actor="ana")
        state = await rig.store.partition("a").state.load()
        assert state is not None
        assert (state.failures, state.backoff_level, state.retry_at_ms) == ((), 0, None)


@pytest.mark.parametrize("action", ["start", "restart", "reset"])
async def test_an_operator_gives_an_invalid_bot_another_try(tmp_path: Path, clock: ManualClock, action: str) -> None:
    """What was refused while it ran is tried again when asked for."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(BotInvalid("bad token"), ready=False)]
        rig.add("a")
        await rig.apply()
        assert rig.phase("a") is Phase.INVALID
        await getattr(rig.pool, action)("a", actor="ana")
        await rig.settle()
        assert rig.phase("a") is Phase.RUNNING


async def test_a_reset_of_a_running_bot_disturbs_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """Only what is held against it is forgotten."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("once"))]
        rig.add("a")
        await rig.apply()
        await clock.advance(1)
        assert rig.bot("a").failures
        await rig.pool.reset("a", actor="ana")
        await rig.settle()
        assert (rig.phase("a"), rig.bot("a").failures, len(rig.puppets["a"])) == (Phase.RUNNING, [], 2)


async def test_a_stop_ends_every_kind_of_waiting(tmp_path: Path, clock: ManualClock) -> None:
    """Queued, backing off, quarantined, invalid: all can be stopped, and none comes back by itself."""
    async with fleet(tmp_path, clock) as rig:
        rig.start = {"rate_per_s": 1, "max_starting": 10}
        rig.scripts["a"] = [crash_with(ValueError("x"))] * 5
        rig.scripts["b"] = [crash_with(BotInvalid("y"))]
        rig.add("a")
        await rig.apply()
        await clock.advance(60)
        rig.add("b", "c", "d")
        await rig.apply()
        assert {b.bot_id: b.phase.value for b in rig.pool.bots()} == {
            "a": "quarantined", "b": "invalid", "c": "queued", "d": "queued",
        }  # fmt: skip
        for bot_id in "abc":
            await rig.pool.stop(bot_id, actor="ana")
        await clock.advance(4000)
        assert {b.bot_id: b.phase.value for b in rig.pool.bots()} == {
            "a": "stopped", "b": "stopped", "c": "stopped", "d": "running",
        }  # fmt: skip
        assert len(rig.puppets["d"]) == 1
        assert "c" not in rig.puppets


async def test_what_makes_no_sense_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    """A disabled bot or one whose file is bad cannot be started, and nothing is written down for it."""
    async with fleet(tmp_path, clock) as rig:
        rig.edit("off", enabled=False)
        rig.spoil("bad", "no token")
        await rig.apply()
        for action in ("start", "restart", "pause", "resume"):
            for bot_id, hint in (("off", "enabled = true"), ("bad", "put its file right")):
                with pytest.raises(WrongPhase) as caught:
                    await getattr(rig.pool, action)(bot_id, actor="ana")
                assert hint in caught.value.hint
        assert not [event for event in rig.heard if isinstance(event, OperatorActed)]


async def test_an_unknown_bot_is_named_with_its_nearest(tmp_path: Path, clock: ManualClock) -> None:
    """Every operation on a bot that is not there says so, and which one may have been meant."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("support")
        await rig.apply()
        for action in ("start", "stop", "restart", "pause", "resume", "reset"):
            with pytest.raises(NoSuchBot, match="did you mean 'support'"):
                await getattr(rig.pool, action)("suport", actor="ana")
        with pytest.raises(NoSuchBot):
            rig.pool.bot("suport")


async def test_asking_for_what_is_already_so_is_no_error(tmp_path: Path, clock: ManualClock) -> None:
    """start of a running bot and stop of a stopped one change nothing."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        await rig.pool.start("a", actor="ana")
        await rig.settle()
        assert len(rig.puppets["a"]) == 1
        await rig.pool.stop("a", actor="ana")
        await rig.settle()
        await rig.pool.stop("a", actor="ana")
        await rig.settle()
        assert rig.phase("a") is Phase.STOPPED
        assert rig.kinds("a").count("BotStopped") == 1
