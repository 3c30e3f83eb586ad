"""What an edit of the files does to one bot, and to no other."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from config.vocabulary import Phase
from store.events import BotStarted, ConfigApplied, ConfigRejected
from tests.workers.pool_rig import crash_with, fleet, never_ready
from workers.clock import ManualClock
from workers.errors import BotInvalid

pytestmark = pytest.mark.anyio


async def test_a_key_that_counts_in_place_disturbs_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """The running worker is told; it is neither drained nor made anew, and the change is live at once."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        rig.edit("a", limits={"max_lanes": 7}, prompts={"system": "Be brief."})
        (change,) = await rig.apply()
        puppet = rig.puppet("a")
        assert [spec.config.limits.max_lanes for spec in puppet.applied] == [7]
        assert not puppet.drained.is_set()
        assert len(rig.puppets["a"]) == 1
        bot = rig.bot("a")
        assert (bot.generation, bot.observed_generation) == (2, 2)
        applied = next(event for event in rig.heard if isinstance(event, ConfigApplied))
        assert (applied.keys, applied.effect, applied.generation) == (change.keys, "next turn", 2)
        assert rig.puppet("b").applied == []


async def test_a_key_that_needs_a_restart_restarts_that_bot_only(tmp_path: Path, clock: ManualClock) -> None:
    """The bot is drained, made anew from the new files, and only then says that they are live."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        old = rig.puppet("a")
        old.turn = anyio.Event()
        rig.edit("a", telegram={"drop_pending_updates": True})
        await rig.apply()
        bot = rig.bot("a")
        assert (bot.phase, bot.phase_reason) == (Phase.DRAINING, "restart")
        assert (bot.generation, bot.observed_generation) == (2, 1)
        old.turn.set()
        await rig.settle()
        bot = rig.bot("a")
        assert (bot.phase, bot.observed_generation, old.cancelled) == (Phase.RUNNING, 2, False)
        assert rig.puppet("a").spec.config.telegram.drop_pending_updates
        assert len(rig.puppets["b"]) == 1
        assert rig.kinds("a") == ["BotStarted", "BotStarted", "ConfigApplied"]


async def test_a_second_edit_during_a_restart_counts_too(tmp_path: Path, clock: ManualClock) -> None:
    """Edits made while the bot is drained are all in the worker that follows, and are announced together."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        old = rig.puppet("a")
        old.turn = anyio.Event()
        rig.edit("a", telegram={"drop_pending_updates": True})
        await rig.apply()
        rig.edit("a", limits={"max_lanes": 3})
        await rig.apply()
        assert rig.bot("a").observed_generation == 1
        old.turn.set()
        await rig.settle()
        assert len(rig.puppets["a"]) == 2
        assert rig.puppet("a").spec.config.limits.max_lanes == 3
        assert rig.bot("a").observed_generation == 3
        (applied,) = [event for event in rig.heard if isinstance(event, ConfigApplied)]
        assert set(applied.keys) == {"telegram.drop_pending_updates", "limits.max_lanes"}


async def test_a_bad_edit_leaves_the_last_good_bot_running(tmp_path: Path, clock: ManualClock) -> None:
    """config_current turns false, the error is shown, the generation moves on and the live one does not."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.spoil("a", "unknown key 'modell'")
        await rig.apply()
        bot = rig.bot("a")
        assert (bot.phase, len(rig.puppets["a"])) == (Phase.RUNNING, 1)
        assert "unknown key 'modell'" in bot.config_error
        assert bot.conditions["config_current"]["status"] is False
        assert (bot.generation, bot.observed_generation) == (2, 1)
        (rejected,) = [event for event in rig.heard if isinstance(event, ConfigRejected)]
        assert "bots/a.toml:3:1" in rejected.problems[0]


async def test_a_bad_edit_during_a_restart_does_not_hide_the_good_one(tmp_path: Path, clock: ManualClock) -> None:
    """The good edit before the bad one becomes live and is announced; the bad one stays what is not live."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        old = rig.puppet("a")
        old.turn = anyio.Event()
        rig.edit("a", telegram={"drop_pending_updates": True})
        await rig.apply()
        rig.spoil("a", "unknown key")
        await rig.apply()
        old.turn.set()
        await rig.settle()
        assert (rig.bot("a").generation, rig.bot("a").observed_generation) == (3, 2)
        assert [event.generation for event in rig.heard if isinstance(event, ConfigApplied)] == [2]


async def test_putting_a_bad_edit_right_again_restarts_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """good → bad → the same good: the worker never noticed, the error is gone, the newest state is the live one."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.spoil("a", "unknown key")
        await rig.apply()
        rig.add("a")
        (change,) = await rig.apply()
        assert change.kind == "unchanged"
        bot = rig.bot("a")
        assert (bot.phase, len(rig.puppets["a"]), rig.puppet("a").applied) == (Phase.RUNNING, 1, [])
        assert (bot.config_error, bot.conditions["config_current"]["status"]) == ("", True)
        assert (bot.generation, bot.observed_generation) == (3, 3)


async def test_a_crash_while_the_file_is_bad_restarts_the_last_good_bot(tmp_path: Path, clock: ManualClock) -> None:
    """A bad file does not keep a bot from being restarted; what runs then is still not current."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.spoil("a", "unknown key")
        await rig.apply()
        rig.pool._keepers["a"].hang("poll", 200)
        await clock.advance(1)
        bot = rig.bot("a")
        assert (bot.phase, len(rig.puppets["a"])) == (Phase.RUNNING, 2)
        assert bot.conditions["config_current"]["status"] is False
        assert (bot.generation, bot.observed_generation) == (2, 1)


async def test_a_file_that_never_was_good_is_listed_as_invalid(tmp_path: Path, clock: ManualClock) -> None:
    """The bot is shown with its error, cannot be started, and starts by itself once the file is good."""
    async with fleet(tmp_path, clock) as rig:
        rig.spoil("a", "no token")
        rig.add("b")
        await rig.apply()
        bot = rig.bot("a")
        assert (bot.phase, bot.observed_generation) == (Phase.INVALID, 0)
        assert "no token" in bot.config_error
        assert "no token" in bot.phase_reason
        assert rig.phase("b") is Phase.RUNNING
        rig.add("a")
        await rig.apply()
        bot = rig.bot("a")
        assert (bot.phase, bot.config_error) == (Phase.RUNNING, "")
        assert bot.observed_generation == bot.generation


async def test_any_change_of_its_files_gives_an_invalid_bot_another_try(tmp_path: Path, clock: ManualClock) -> None:
    """What was refused while it ran is tried again when its configuration changes, whatever the key."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(BotInvalid("bad token"), ready=False)]
        rig.add("a")
        await rig.apply()
        assert rig.phase("a") is Phase.INVALID
        rig.edit("a", name="Alice")
        await rig.apply()
        assert rig.phase("a") is Phase.RUNNING


async def test_a_change_of_its_files_ends_back_off_and_quarantine(tmp_path: Path, clock: ManualClock) -> None:
    """The history is forgotten and the bot tried at once, through the start pacing."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("again"))] * 5
        rig.add("a")
        await rig.apply()
        await clock.advance(60)
        assert rig.phase("a") is Phase.QUARANTINED
        rig.edit("a", llm={"temperature": 0.5})
        await rig.apply()
        assert (rig.phase("a"), rig.bot("a").failures) == (Phase.RUNNING, [])


async def test_enabled_false_drains_and_enabled_true_starts(tmp_path: Path, clock: ManualClock) -> None:
    """A bot switched off in its file rests as `disabled`, with its file live, and comes back when switched on."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.edit("a", enabled=False)
        await rig.apply()
        bot = rig.bot("a")
        assert (bot.phase, bot.phase_reason) == (Phase.DISABLED, "enabled = false")
        assert bot.observed_generation == 2
        assert rig.puppet("a").drained.is_set()
        rig.edit("a", enabled=True)
        await rig.apply()
        assert (rig.phase("a"), rig.bot("a").observed_generation) == (Phase.RUNNING, 3)


async def test_a_bot_that_is_disabled_from_the_first_never_starts(tmp_path: Path, clock: ManualClock) -> None:
    """`enabled = false` in a new file lists the bot and makes no worker."""
    async with fleet(tmp_path, clock) as rig:
        rig.edit("a", enabled=False)
        await rig.apply()
        assert rig.phase("a") is Phase.DISABLED
        assert "a" not in rig.puppets


async def test_a_deleted_file_drains_the_bot_and_keeps_its_rows(tmp_path: Path, clock: ManualClock) -> None:
    """The bot finishes its turn and leaves the list; its partition stays."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        await rig.written()
        puppet = rig.puppet("a")
        puppet.turn = anyio.Event()
        rig.delete("a")
        await rig.apply()
        assert rig.phase("a") is Phase.DRAINING
        puppet.turn.set()
        await rig.settle()
        assert rig.pool.bots() == []
        assert rig.pool.phases() == {}
        await rig.written()
        state = await rig.store.partition("a").state.load()
        assert state is not None
        assert (state.phase, state.phase_reason) == ("stopped", "its file is gone")
        assert rig.kinds("a")[-1] == "BotStopped"


async def test_a_file_that_comes_back_while_its_bot_is_drained_goes_on(tmp_path: Path, clock: ManualClock) -> None:
    """Delete and write again, as some editors do: one bot, started anew once the turn in flight is finished."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        old = rig.puppet("a")
        old.turn = anyio.Event()
        rig.delete("a")
        await rig.apply()
        rig.edit("a", limits={"max_lanes": 2})
        await rig.apply()
        assert rig.phase("a") is Phase.DRAINING
        assert old.applied == [], "what is being drained is not told of other files"
        old.turn.set()
        await rig.settle()
        assert (rig.phase("a"), old.cancelled) == (Phase.RUNNING, False)
        assert rig.puppet("a").spec.config.limits.max_lanes == 2


async def test_an_edit_during_the_start_is_in_what_starts(tmp_path: Path, clock: ManualClock) -> None:
    """A starting bot is told of keys that count in place, and drained for others."""
    async with fleet(tmp_path, clock) as rig:
        rig.default = never_ready
        rig.add("a", "b")
        await rig.apply()
        rig.edit("a", limits={"max_lanes": 2})
        rig.edit("b", telegram={"drop_pending_updates": True})
        await rig.apply()
        assert [spec.config.limits.max_lanes for spec in rig.puppet("a").applied] == [2]
        assert len(rig.puppets["b"]) == 2
        assert rig.puppet("b").spec.config.telegram.drop_pending_updates


async def test_a_worker_that_cannot_take_an_edit_is_started_anew(tmp_path: Path, clock: ManualClock) -> None:
    """An exception in applying a change restarts that bot; the edit of the others goes through."""

    def refuse(_: object) -> None:
        raise ValueError("cannot")

    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        rig.puppet("a").apply = refuse  # type: ignore[method-assign]
        rig.edit("a", limits={"max_lanes": 2})
        rig.edit("b", limits={"max_lanes": 2})
        await rig.apply()
        assert (len(rig.puppets["a"]), len(rig.puppets["b"])) == (2, 1)
        assert rig.bot("a").observed_generation == 2
        assert rig.puppet("b").applied


async def test_a_started_bot_names_the_generation_it_was_made_from(tmp_path: Path, clock: ManualClock) -> None:
    """BotStarted carries the generation that is live from then on."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.edit("a", channel="none", telegram={"drop_pending_updates": True})
        await rig.apply()
        assert [event.generation for event in rig.heard if isinstance(event, BotStarted)] == [1, 2]


async def test_a_stopped_bot_takes_edits_without_starting(tmp_path: Path, clock: ManualClock) -> None:
    """An intent to stop outlives any edit; the edit is live at once as far as a resting bot goes."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        await rig.pool.stop("a", actor="ana")
        await rig.settle()
        rig.edit("a", telegram={"drop_pending_updates": True})
        await rig.apply()
        bot = rig.bot("a")
        assert (bot.phase, bot.generation, bot.observed_generation) == (Phase.STOPPED, 2, 2)
        assert len(rig.puppets["a"]) == 1


async def test_a_file_may_come_back_at_any_moment(tmp_path: Path, clock: ManualClock) -> None:
    """However far its bot is on its way out when the file is back: it runs again, in this loop turn or the next."""
    async with fleet(tmp_path, clock) as rig:
        for turns in range(25):
            rig.add("a")
            await rig.apply()
            await rig.until("a", Phase.RUNNING)
            rig.delete("a")
            await rig.pool.apply(rig.snapshot())
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            rig.add("a")
            await rig.pool.apply(rig.snapshot())
            await rig.until("a", Phase.RUNNING)
