"""Finding bots without progress, and whoever blocks the loop, without ever blaming the innocent."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from config.schema import BotConfig
from config.vocabulary import FLEET, Condition, Phase
from store.events import HealthCheckFailed, LoopStalled
from tests.waiting import eventually
from tests.workers.pool_rig import fleet
from workers.bus import Bus, Subscription
from workers.clock import ManualClock, SystemClock
from workers.conditions import Conditions
from workers.health import LoopWatch, overdue
from workers.stall import Culprit
from workers.worker import Vitals

pytestmark = pytest.mark.anyio

CONFIG = BotConfig.model_validate({"channel": "none", "telegram": {"poll_timeout_s": 30}, "llm": {"timeout_s": 60.0}})
POLL_LIMIT = 3 * (30 + 10)
TURN_LIMIT = 3 * (60 + 30)


def never(_: float) -> float:
    return 0.0


def judge(seen: Vitals, stalled: Any = never, **conditions: bool) -> tuple[str, float] | None:
    known = Conditions(ManualClock())
    for name, status in conditions.items():
        known.set(Condition(name), status)
    return overdue(seen, known, CONFIG, stalled)


@pytest.mark.parametrize(
    ("seen", "conditions", "verdict"),
    [
        (Vitals(poll_in_flight_s=POLL_LIMIT - 1), {}, None),
        (Vitals(poll_in_flight_s=POLL_LIMIT + 1), {}, "poll"),
        (Vitals(poll_in_flight_s=POLL_LIMIT + 1), {"polling": False}, "poll"),
        (Vitals(last_poll_age_s=POLL_LIMIT + 1), {"polling": True}, "poll"),
        (Vitals(last_poll_age_s=10_000), {"polling": False}, None),
        (Vitals(last_poll_age_s=10_000), {}, None),
        (Vitals(last_poll_age_s=10_000, poll_in_flight_s=5), {"polling": True}, None),
        (Vitals(last_poll_age_s=10_000, poll_in_flight_s=10_000), {"polling": True, "throttled": True}, None),
        (Vitals(oldest_turn_age_s=TURN_LIMIT - 1), {"polling": True}, None),
        (Vitals(oldest_turn_age_s=TURN_LIMIT + 1), {"polling": True}, "turn"),
        (Vitals(oldest_turn_age_s=TURN_LIMIT + 1), {"polling": False, "throttled": True}, "turn"),
        (Vitals(), {}, None),
    ],
)
def test_what_counts_as_no_progress(seen: Vitals, conditions: dict[str, bool], verdict: str | None) -> None:
    """A poll or a turn beyond three times its allowance; never a bot that says why it does not poll."""
    found = judge(seen, **conditions)
    assert (found[0] if found else None) == verdict


def test_time_the_loop_was_blocked_is_taken_off() -> None:
    """An age that is over its limit only because of a stall is no verdict; one that is over it anyway is."""
    seen = Vitals(poll_in_flight_s=POLL_LIMIT + 30)
    assert judge(seen, lambda within_s: 40.0) is None
    assert judge(seen, lambda within_s: 20.0) == ("poll", POLL_LIMIT + 30)


def test_stalls_are_added_up_within_an_age(clock: ManualClock) -> None:
    """Only the part of a stall inside the time asked for counts."""
    watch = LoopWatch(Bus(), clock)
    clock._monotonic = 100.0
    watch.note_stall(10)
    clock._monotonic = 200.0
    watch.note_stall(30)
    clock._monotonic = 210.0
    assert watch.stalled_s(5) == 0
    assert watch.stalled_s(20) == 10
    assert watch.stalled_s(50) == 30
    assert watch.stalled_s(1000) == 40


async def test_a_hung_bot_is_cancelled_and_tried_again(tmp_path: Path, clock: ManualClock) -> None:
    """The sweep finds it, says so once, and only that bot is restarted."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        rig.puppet("a").seen = Vitals(poll_in_flight_s=1000.0)
        await clock.advance(7)
        assert (len(rig.puppets["a"]), rig.phase("a")) == (2, Phase.RUNNING)
        assert (len(rig.puppets["b"]), rig.phase("b")) == (1, Phase.RUNNING)
        (failed,) = [event for event in rig.heard if isinstance(event, HealthCheckFailed)]
        assert (failed.bot_id, failed.check, failed.age_s) == ("a", "poll", 1000.0)


async def test_a_hung_bot_that_ignores_its_cancellation_is_left_behind(tmp_path: Path, clock: ManualClock) -> None:
    """Five seconds after the verdict the bot goes on without it."""
    from tests.workers.pool_rig import stubborn

    release = anyio.Event()
    async with fleet(tmp_path, clock) as rig:
        rig.scripts["a"] = [stubborn(release)]
        rig.add("a")
        await rig.apply()
        rig.puppet("a").seen = Vitals(poll_in_flight_s=1000.0)
        await clock.advance(12)
        assert (rig.phase("a"), len(rig.puppets["a"]), len(rig.pool.leaked)) == (Phase.RUNNING, 2, 1)
        release.set()
        await rig.settle()


async def test_a_bot_that_blocks_the_loop_again_and_again_is_held_back(tmp_path: Path, clock: ManualClock) -> None:
    """Twice is told, the third time is a failure of that bot alone; long ago does not count, nor do short stalls."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b")
        await rig.apply()
        report, guilty = rig.pool.loop_watch._report, Culprit("a/lane 1", "x.py:1 f")
        for lasted_s, culprit in ((5.0, guilty), (0.5, guilty), (5.0, Culprit("b/lane 1")), (5.0, guilty)):
            report(lasted_s, culprit)
        await rig.settle()
        assert (rig.phase("a"), rig.phase("b")) == (Phase.RUNNING, Phase.RUNNING)
        await clock.advance(500)
        report(5.0, guilty)
        await rig.settle()
        assert (rig.phase("a"), rig.phase("b")) == (Phase.BACKOFF, Phase.RUNNING)
        assert "x.py:1 f" in rig.bot("a").phase_reason
        await clock.advance(700)
        report(5.0, guilty)
        await rig.settle()
        assert rig.phase("a") is Phase.RUNNING


async def test_a_long_stall_restarts_nobody(tmp_path: Path, clock: ManualClock) -> None:
    """One bot blocks the loop for ten minutes: no other is taken for hung, though no poll came back meanwhile."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a", "b", "c")
        await rig.apply()
        await clock.advance(700)
        rig.pool.loop_watch.note_stall(600)
        for bot_id in "abc":
            rig.puppet(bot_id).seen = Vitals(poll_in_flight_s=650.0)
        await clock.advance(5)
        assert [len(rig.puppets[bot_id]) for bot_id in "abc"] == [1, 1, 1]


async def test_nobody_is_judged_while_the_loop_is_late(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that itself comes late passes: answers may lie unread. The next one judges."""
    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.puppet("a").seen = Vitals(poll_in_flight_s=1000.0)
        late = [5.0]
        monkeypatch.setattr(LoopWatch, "late_s", lambda _: late[0])
        await clock.advance(10)
        assert len(rig.puppets["a"]) == 1
        late[0] = 0.0
        await clock.advance(7)
        assert len(rig.puppets["a"]) == 2


async def test_nobody_is_judged_while_the_database_refuses(tmp_path: Path, clock: ManualClock) -> None:
    """A poller that waits to commit hangs for a reason; after the recovery that time is no age."""
    from tests.workers.test_pool import fault, mend

    async with fleet(tmp_path, clock) as rig:
        rig.add("a")
        await rig.apply()
        rig.puppet("a").conditions.set(Condition.POLLING, True)
        await fault(rig)
        rig.puppet("a").seen = Vitals(last_poll_age_s=300.0)
        for _ in range(300):
            await clock.advance(1)
        assert len(rig.puppets["a"]) == 1
        await mend(rig)

        async def recovered() -> bool:
            await clock.advance(1)
            return rig.store.fault is None

        await eventually(recovered)
        await clock.advance(6)
        assert len(rig.puppets["a"]) == 1


# --- a real loop, really blocked ---------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[tuple[Bus, Subscription]]:
    bus = Bus()
    with bus.subscribe() as events:
        yield bus, events


def block(seconds: float) -> None:
    """What no bot should ever do."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def test_a_stall_names_the_bot_and_the_line(listening: tuple[Bus, Subscription]) -> None:
    """A task of a bot that blocks the loop is named with the line it blocks at."""
    bus, events = listening
    watch = LoopWatch(bus, SystemClock())
    watch.start()
    try:
        await asyncio.create_task(_block_later(0.8), name="support/lane")
        stalled = await eventually(lambda: next((e for e in events.take() if isinstance(e, LoopStalled)), None))
    finally:
        watch.stop()
    assert stalled.bot_id == "support"
    assert stalled.task == "support/lane"
    assert stalled.line.startswith("tests/workers/test_health.py:")
    assert stalled.line.split()[1] in {"block", "_block_later"}
    assert 0.4 < stalled.duration_s < 5
    assert watch.lag().max_s > 0.4
    assert watch.stalled_s(60) > 0.4


async def _block_later(seconds: float) -> None:
    await anyio.lowlevel.checkpoint()
    block(seconds)


class Heard(logging.Handler):
    """Keeps log records, also those of other threads."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


async def test_a_stall_is_reported_while_it_lasts(listening: tuple[Bus, Subscription]) -> None:
    """After a second the thread says who blocks the loop, which itself cannot."""
    bus, _ = listening
    watch = LoopWatch(bus, SystemClock())
    handler = Heard()
    logging.getLogger("workers.stall").addHandler(handler)
    watch.start()
    said = handler.records
    during: list[logging.LogRecord] = []

    async def endless() -> None:
        until = time.monotonic() + 10
        while not said and time.monotonic() < until:
            pass
        during.extend(said)

    try:
        await asyncio.create_task(endless(), name="sales/lane")
    finally:
        watch.stop()
        logging.getLogger("workers.stall").removeHandler(handler)
    assert during, "nothing was said while the loop was blocked"
    assert "sales/lane at tests/workers/test_health.py" in during[0].getMessage()
    assert during[0].getMessage().endswith("endless")
    assert during[0].bot_id == "sales"  # type: ignore[attr-defined]


async def test_a_free_loop_is_not_accused(listening: tuple[Bus, Subscription]) -> None:
    """A loop with much to do, in small pieces, has lag figures and no stall."""
    bus, events = listening
    watch = LoopWatch(bus, SystemClock())
    watch.start()
    try:
        await eventually(lambda: len(watch._lags) >= 5)
    finally:
        watch.stop()
    lag = watch.lag()
    assert 0 <= lag.p50_s <= lag.p99_s <= lag.max_s
    if lag.max_s < 0.25:  # a machine too busy to tell proves nothing
        assert not events.take()
        assert watch.stalled_s(60) == 0


async def test_watching_ends_with_its_thread(listening: tuple[Bus, Subscription]) -> None:
    """After `stop` the daemon thread ends and no beat is left on the loop."""
    bus, _ = listening
    watch = LoopWatch(bus, SystemClock())
    watch.start()
    watch.start()
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("botdeck-loop-watch") == 1
    watch.stop()
    await eventually(lambda: "botdeck-loop-watch" not in [thread.name for thread in threading.enumerate()])
    assert watch.late_s() == 0


@pytest.mark.parametrize(
    ("task", "bot_id"),
    [("support/lane", "support"), ("fleet.journal", FLEET), ("Task-17", FLEET), ("", FLEET), ("No Bot/x", FLEET)],
)
def test_whose_task_it_is(task: str, bot_id: str) -> None:
    """A task belongs to the bot its name begins with, else to the fleet."""
    assert Culprit(task).bot_id == bot_id
