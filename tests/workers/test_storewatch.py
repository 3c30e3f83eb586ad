"""The watch of the store and the keeping of house, with time in hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from config.schema import RetentionSection
from store.database import Store
from tests.store.filling import converse, query
from tests.waiting import eventually
from workers import housekeeping, storewatch
from workers.bus import Bus
from workers.clock import ManualClock
from workers.housekeeping import BelievedTime, Housekeeper
from workers.services import Services
from workers.storewatch import StoreWatch

pytestmark = pytest.mark.anyio

DAY_S = 86_400.0


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "botdeck.db", now_ms=now_ms(clock), durability="normal") as opened:
        yield opened


def now_ms(clock: ManualClock) -> int:
    return int(clock.now() * 1000)


@asynccontextmanager
async def running(part: Callable[[], Any]) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(part)
        yield
        group.cancel_scope.cancel()


def watch(store: Store, clock: ManualClock) -> StoreWatch:
    """Watch a store with the parts of Services that a watch uses."""
    services = SimpleNamespace(store=store, clock=clock, bus=Bus(), now_ms=lambda: now_ms(clock))
    return StoreWatch(cast("Services", services), lambda _: None)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == storewatch.__name__]


async def test_an_idle_fleet_misses_its_file_within_two_looks(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody writes; the file is taken away, told of once however long it lasts, put back, told of once."""
    async with running(watch(store, clock).run):
        await eventually(lambda: clock.waiting)
        store.path.rename(store.path.with_name("aside"))
        await clock.advance(storewatch.LOOK_S)
        await eventually(lambda: store.fault is not None and told(caplog))
        assert told(caplog) == ["CRITICAL"]
        for _ in range(20):
            await eventually(lambda: clock.waiting)
            await clock.advance(storewatch.PROBE_S)
        assert told(caplog) == ["CRITICAL"]
        store.path.with_name("aside").rename(store.path)
        await passes(store, clock)
        await eventually(lambda: told(caplog) == ["CRITICAL", "WARNING"])


async def passes(store: Store, clock: ManualClock) -> None:
    async def over() -> bool:
        await clock.advance(storewatch.PROBE_S)
        return store.fault is None

    await eventually(over)


async def test_a_fault_that_comes_back_at_once_is_told_of_less_and_less(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is taken away again right after each recovery does not fill the log: the waits double to a minute."""
    hidden = store.path.with_name("aside")
    waits = []
    async with running(watch(store, clock).run):
        for round_ in range(8):
            await eventually(lambda: clock.waiting)
            store.path.rename(hidden)
            before = len(told(caplog))
            while len(told(caplog)) == before:
                await clock.advance(0.5)
                await anyio.lowlevel.checkpoint()
            hidden.rename(store.path)
            began = clock.monotonic()
            while len(told(caplog)) < 2 * (round_ + 1):
                if clock.waiting:  # a try that is under way takes no time held in hand
                    await clock.advance(0.5)
                await anyio.to_thread.run_sync(lambda: None)
            waits.append(clock.monotonic() - began)
    assert max(waits[:2]) < 5
    assert min(waits[6:]) > 55
    assert max(waits) < 70


# --- keeping house -----------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_ahead_is_believed_once_it_has_stood() -> None:
    """A day, a year: old rows stay for a day; a clock put right counts at once; drift and setting back harm nothing."""
    time = BelievedTime()
    time.begin(1000 * DAY_S, 0.0, 1000 * DAY_S - 60)
    assert time.believes(1000 * DAY_S + 600, 600.0)
    assert not time.believes(1001 * DAY_S + 700, 700.0)
    assert not time.believes(1002 * DAY_S, DAY_S - 100)
    assert time.believes(1001 * DAY_S, DAY_S)
    assert not time.believes(1367 * DAY_S, 2 * DAY_S)
    assert not time.believes(1367.9 * DAY_S, 2.9 * DAY_S)
    assert time.believes(1368 * DAY_S, 3 * DAY_S)
    assert time.believes(1001 * DAY_S, 3.1 * DAY_S)


def test_the_time_at_the_start_is_compared_with_the_last_process() -> None:
    """Back within a day it is believed; after a longer rest, or with a wrong clock, it must stand first."""
    for away_s, believed in ((3600.0, True), (2 * DAY_S, False)):
        time = BelievedTime()
        time.begin(1000 * DAY_S, 5.0, 1000 * DAY_S - away_s)
        assert time.believes(1000 * DAY_S, 5.0) is believed
        assert time.believes(1001 * DAY_S, 5.0 + DAY_S)
    new = BelievedTime()
    new.begin(1000 * DAY_S, 0.0, None)
    assert new.believes(1000 * DAY_S, 0.0)


async def test_retention_waits_out_a_jump_and_survives_a_restart_within_it(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock ten years ahead deletes nothing, also not after a restart; once it is right again, retention goes on."""
    await converse(store, "a", 1, now_ms(clock))
    rows = "SELECT count(*) FROM usage"

    def keeper() -> Housekeeper:
        return Housekeeper(store, clock, lambda: RetentionSection(usage_days=2))

    async def stays(times_told: int) -> None:
        """Let the keeper walk several times; it has told of the jump once by then."""
        for _ in range(3):
            await clock.advance(housekeeping.WALK_S)
            await eventually(lambda: caplog.text.count("nothing is deleted for its age") == times_told)
        assert query(store.path, rows) == [(1,)]

    async with running(keeper().run):
        await eventually(lambda: query(store.path, "SELECT count(*) FROM meta WHERE key = 'believed'") == [(1,)])
        clock.jump(3650 * DAY_S)
        await stays(1)
    async with running(keeper().run):
        await stays(2)
        clock.jump(-3650 * DAY_S)
        await clock.advance(3 * DAY_S)

        async def gone() -> bool:
            await clock.advance(housekeeping.WALK_S)
            return query(store.path, rows) == [(0,)]

        await eventually(gone)


async def test_a_chatty_bot_keeps_its_journals_under_the_bound(store: Store, clock: ManualClock) -> None:
    """The oldest lines of the bot that has too many leave within seconds; others and their newest lines stay."""
    lines = [("loud", now_ms(clock), 20, "l", f"line {n}", "") for n in range(3000)]
    await store.append_logs([*lines, ("quiet", now_ms(clock), 20, "l", "kept", "")])
    await store.append_events([("loud", now_ms(clock), "BotStarted", "{}", "")] * 700)
    keeper = Housekeeper(store, clock, lambda: RetentionSection(rows_per_bot=500))
    counted = "SELECT count(*) FROM {} WHERE bot_id = 'loud'"
    async with running(keeper.run):

        async def trimmed() -> bool:
            await clock.advance(housekeeping.TRIM_S)
            return (
                query(store.path, counted.format("logs")) + query(store.path, counted.format("events")) == [(500,)] * 2
            )

        await eventually(trimmed)
    assert (await store.partition("loud").logs.tail(1))[0].text == "line 2999"
    assert len(await store.partition("quiet").logs.tail(9)) == 1


async def test_no_bound_keeps_any_number(store: Store) -> None:
    """rows_per_bot = 0."""
    await store.append_logs([("loud", 1, 20, "l", "t", "")] * 3000)
    assert await store.trim(0) == 0
    assert await store.trim(3000) == 0
    await store.append_logs([("loud", 1, 20, "l", "t", "")] * 1000)
    assert await store.trim(3000) == 500
