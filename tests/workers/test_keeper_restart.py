"""A restart of the process is no amnesty: intent, counters, back-off and quarantine go on where they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.vocabulary import Phase
from tests.workers.pool_rig import Fleet, crash_with, fleet
from workers.clock import ManualClock
from workers.errors import BotInvalid

pytestmark = pytest.mark.anyio


async def first_process(path: Path, clock: ManualClock, crashes: int, *, clean: bool = False, **file: Any) -> None:
    """Run a fleet of one bot that crashes so many times, then end the process."""
    async with fleet(path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("again"))] * crashes
        rig.edit("a", **file)
        await rig.apply()
        await clock.advance(60)
        await rig.written()
        if clean:
            await rig.pool.shutdown()


async def take_up(rig: Fleet, **file: Any) -> None:
    rig.edit("a", **file)
    await rig.apply()


@pytest.mark.parametrize("clean", [True, False])
async def test_quarantine_outlives_the_process(tmp_path: Path, clock: ManualClock, clean: bool) -> None:
    """Killed or stopped, the next process makes no worker until the half hour is over."""
    await first_process(tmp_path, clock, 5, clean=clean)
    await clock.advance(600)
    async with fleet(tmp_path, clock) as rig:
        await take_up(rig)
        bot = rig.bot("a")
        assert (bot.phase, bot.phase_reason, len(bot.failures)) == (Phase.QUARANTINED, "ValueError: again", 5)
        await clock.advance(1000)
        assert "a" not in rig.puppets
        await clock.advance(200)
        assert (rig.phase("a"), bot.restarts) == (Phase.RUNNING, 4)


async def test_a_try_out_of_quarantine_is_single_also_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    """The process ends during the half-open try: failing in the next one still means quarantine at once."""
    await first_process(tmp_path, clock, 5)
    async with fleet(tmp_path, clock) as rig:
        await take_up(rig)
        await clock.advance(1800)
        assert rig.phase("a") is Phase.RUNNING
        await rig.written()
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(KeyError("other"))]
        await take_up(rig)
        assert rig.phase("a") is Phase.QUARANTINED


async def test_failures_add_up_across_processes(tmp_path: Path, clock: ManualClock) -> None:
    """Four crashes in one process and one in the next are five."""
    await first_process(tmp_path, clock, 4)
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("again"))]
        await take_up(rig)
        assert rig.phase("a") is Phase.QUARANTINED


async def test_back_off_goes_on(tmp_path: Path, clock: ManualClock) -> None:
    """A bot that waits for its next try waits on in the next process, with the level it had."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError(str(n))) for n in range(4)]
        rig.default = crash_with(ValueError("more"))
        await take_up(rig)
        await clock.advance(1)
        await clock.advance(2)
        await rig.written()
        waiting = rig.bot("a")
        assert waiting.phase is Phase.BACKOFF
    async with fleet(tmp_path, clock) as rig:
        await take_up(rig)
        bot = rig.bot("a")
        assert (bot.phase, bot.retry_at) == (Phase.BACKOFF, pytest.approx(waiting.retry_at, abs=0.01))
        await clock.advance(8)
        assert rig.phase("a") is Phase.RUNNING


async def test_a_changed_file_is_a_new_beginning(tmp_path: Path, clock: ManualClock) -> None:
    """Edited while no process ran, the bot starts at once with a clean history and a new generation."""
    await first_process(tmp_path, clock, 5)
    async with fleet(tmp_path, clock) as rig:
        await take_up(rig, prompts={"system": "Be careful."})
        bot = rig.bot("a")
        assert (bot.phase, bot.failures) == (Phase.RUNNING, [])
        assert (bot.generation, bot.observed_generation) == (2, 2)


async def test_an_unchanged_file_keeps_its_generation(tmp_path: Path, clock: ManualClock) -> None:
    """Generations count states of the files, not processes."""
    await first_process(tmp_path, clock, 0)
    async with fleet(tmp_path, clock) as rig:
        await take_up(rig)
        assert (rig.bot("a").generation, rig.bot("a").observed_generation) == (1, 1)


async def test_a_bad_file_found_again_is_no_new_generation(tmp_path: Path, clock: ManualClock) -> None:
    """The same error in the next process is the same state."""
    generations = []
    for _ in range(2):
        async with fleet(tmp_path, clock) as rig:
            rig.spoil("a", "no token")
            await rig.apply()
            generations.append(rig.bot("a").generation)
            await rig.written()
    assert generations == [1, 1]


async def test_a_stop_outlives_the_process(tmp_path: Path, clock: ManualClock) -> None:
    """What an operator stopped or paused stays so, with the reason."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        await rig.pool.stop("a", actor="ana", reason="holiday")
        await rig.pool.pause("b", actor="ana")
        await rig.written()
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        assert (rig.phase("a"), rig.bot("a").desired_actor, rig.bot("a").desired_reason) == (
            Phase.STOPPED,
            "ana",
            "holiday",
        )
        assert "a" not in rig.puppets
        assert rig.bot("a").phase_reason == "stopped by ana: holiday"
        assert rig.puppet("b").paused


async def test_a_running_bot_runs_again_after_a_clean_stop_and_after_a_kill(tmp_path: Path, clock: ManualClock) -> None:
    """The process's own end is no intent: what ran is started by the next one."""
    for clean in (True, False):
        await first_process(tmp_path, clock, 0, clean=clean)
    async with fleet(tmp_path, clock) as rig:
        await take_up(rig)
        assert rig.phase("a") is Phase.RUNNING


async def test_an_invalid_bot_is_tried_once_by_the_next_process(tmp_path: Path, clock: ManualClock) -> None:
    """What was wrong may have been put right meanwhile; if not, the bot rests again."""
    for _ in range(2):
        async with fleet(tmp_path, clock) as rig:
            rig.default = crash_with(BotInvalid("bad token"), ready=False)
            await take_up(rig)
            await clock.advance(100)
            assert (rig.phase("a"), len(rig.puppets["a"])) == (Phase.INVALID, 1)
            await rig.written()


async def test_words_of_another_version_are_survived(tmp_path: Path, clock: ManualClock) -> None:
    """A phase or an intent nobody knows (an imported partition) keeps no bot from running, let alone the others."""
    await first_process(tmp_path, clock, 0)
    async with fleet(tmp_path, clock) as rig:
        await rig.store.partition("a").state.save(0, phase="hibernating", desired="dream")
    async with fleet(tmp_path, clock) as rig:
        await take_up(rig)
        assert (rig.phase("a"), rig.bot("a").desired) == (Phase.RUNNING, "run")


async def test_a_clock_set_back_does_not_make_a_bot_wait_for_ever(tmp_path: Path, clock: ManualClock) -> None:
    """A retry that lies years ahead is waited for half an hour at most."""
    await first_process(tmp_path, clock, 5)
    clock.jump(-10 * 365 * 86400)
    async with fleet(tmp_path, clock) as rig:
        await take_up(rig)
        assert rig.phase("a") is Phase.QUARANTINED
        await clock.advance(1801)
        assert rig.phase("a") is Phase.RUNNING


async def test_what_lies_open_is_shown_before_the_worker_runs(tmp_path: Path, clock: ManualClock) -> None:
    """A stopped bot shows the open updates the last process left."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        await rig.pool.stop("a", actor="ana")
        from store.updates import NewUpdate

        await rig.store.partition("a").updates.receive([NewUpdate(1, "1", "{}"), NewUpdate(2, "1", "{}")], 3, 0)
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        assert (rig.phase("a"), rig.bot("a").inbox_open) == (Phase.STOPPED, 2)


async def test_a_shutdown_writes_down_how_bots_rest(tmp_path: Path, clock: ManualClock) -> None:
    """What ran is `stopped` because the fleet stopped; what waited keeps its phase."""
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [crash_with(ValueError("x"))] * 5
        rig.add("a", "b")
        await rig.apply()
        await clock.advance(60)
        await rig.pool.shutdown()
        states = {state.bot_id: (state.phase, state.phase_reason) for state in await rig.store.states()}
        assert states == {"a": ("quarantined", "ValueError: x"), "b": ("stopped", "the fleet stopped")}
