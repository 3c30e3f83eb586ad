"""A device that fails under the store: what a failed sync means, room that runs out, reads that come short."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from store import jobs
from store.database import Store
from store.errors import StoreCorrupt, StoreDoubtful, StoreError, StoreFull
from tests.storage import vfs
from tests.storage.disk import Disk, nothing, restore
from tests.storage.power import Acknowledged, insist, judge
from tests.store.filling import NOW_MS, converse, query, update
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

OTHERS = 60
"""Turns of another bot, enough for pages of its own."""


async def checkpoint(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the log copied into the file, whether it works or not."""
    with monkeypatch.context() as at_once:
        at_once.setattr(jobs, "CHECKPOINT_JOBS", 1)
        before = store.stats.writer.checkpoints
        await store.partition("bot0").state.save(NOW_MS, name="x")
        await eventually(lambda: store.stats.writer.checkpoints > before or store.fault is not None)


async def test_a_failed_sync_is_not_trusted_again_before_the_file_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages lost by a failed sync of the file, copied there while somebody read: they are copied once more.

    The system counts them as written and says nothing of them again, and memory forgets what the device never had.
    """
    assert await lose_a_checkpoint(folder, monkeypatch) == []


async def test_a_store_that_trusts_the_next_sync_loses_turns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same without opening the file anew: the device holds a damaged file, and nobody was told."""

    async def trusting(store: Store) -> bool:
        store._writer._barred = None
        return True

    monkeypatch.setattr(Store, "_renewed", trusting)
    assert await lose_a_checkpoint(folder, monkeypatch) != []


async def lose_a_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fail the sync that follows a partial checkpoint; return what is wrong after a power cut some turns later."""
    path, disk = folder / "data" / "botdeck.db", Disk(folder)
    with disk.watched():
        store = await Store.open(path, now_ms=NOW_MS)
        for number in range(1, OTHERS + 1):  # on pages nobody writes again
            await talk(store, number, "bot1")
        for number in range(1, 5):
            await talk(store, number)
        with closing(sqlite3.connect(path)) as reading:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM bots").fetchone()
            await talk(store, 5)
            await checkpoint(store, monkeypatch)
        disk.strike("sync", ".db", vfs.IO_SYNC)
        await checkpoint(store, monkeypatch)
        assert isinstance(store.fault, StoreDoubtful)
        assert await store.probe(NOW_MS)
        assert store.fault is None
        await talk(store, 6)
        await checkpoint(store, monkeypatch)
        await talk(store, 7)
        left = disk.now().left(nothing)
        await store.close()
    restore(left, disk.root, folder.parent / "left")
    said = {"bot0": 7, "bot1": OTHERS}
    acknowledged = Acknowledged({(what, bot): count for bot, count in said.items() for what in ("answered", "sent")})
    return await judge(folder.parent / "left", acknowledged)


async def talk(store: Store, number: int, bot: str = "bot0") -> None:
    """Do one turn of two sends."""
    from tests.storage.power import SENDS

    ids = await converse(store, bot, number, sends=SENDS)
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("what", "name", "code", "error"),
    [
        ("sync", "-wal", vfs.IO_SYNC, StoreDoubtful),
        ("write", "-wal", vfs.IO_WRITE, StoreDoubtful),
        ("write", "-wal", vfs.FULL, StoreFull),
    ],
)
async def test_a_fault_is_told_once_stays_and_passes(
    folder: Path, what: str, name: str, code: int, error: type[StoreError]
) -> None:
    """Every caller under way gets the same error, nothing of theirs is stored by then; healed, all is done once."""
    disk = Disk(folder)
    with disk.watched():
        store = await Store.open(folder / "botdeck.db", now_ms=NOW_MS)
        fault = disk.strike(what, name, code, times=None)
        waiting = [asyncio.ensure_future(insist(store, lambda n=n: converse(store, f"b{n}", 1))) for n in range(20)]  # type: ignore[misc]
        assert isinstance(await store.wait_fault(), error)
        for _ in range(3):
            assert not await store.probe(NOW_MS)
            assert isinstance(store.fault, error)
        with pytest.raises(error):
            await store.partition("x").updates.receive([update(1)], 2, NOW_MS)
        assert fault.struck
        assert not any(task.done() for task in waiting)
        disk.heal()
        assert await store.probe(NOW_MS)
        await asyncio.gather(*waiting)
        await store.close()
    assert query(folder / "botdeck.db", "SELECT count(*), sum(turns) FROM bots WHERE turns") == [(20, 20)]
    assert query(folder / "botdeck.db", "SELECT count(*) FROM outbox WHERE state = 'sent'") == [(20,)]
    assert query(folder / "botdeck.db", "PRAGMA integrity_check") == [("ok",)]


async def test_no_room_for_a_checkpoint_only_makes_the_log_longer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns go on while the file itself cannot grow, and the next checkpoint makes up for it."""
    disk = Disk(folder)
    with disk.watched():
        store = await Store.open(folder / "botdeck.db", now_ms=NOW_MS)
        disk.strike("write", ".db", vfs.FULL, times=None)
        monkeypatch.setattr(jobs, "CHECKPOINT_JOBS", 1)
        for number in range(1, 20):
            await converse(store, "a", number)
        assert store.fault is None
        disk.heal()
        await converse(store, "a", 20)
        await eventually(lambda: store.stats.writer.checkpoints > 0)
        await store.close()
    assert query(folder / "botdeck.db", "SELECT turns FROM bots") == [(20,)]


@pytest.mark.parametrize("code", [vfs.IO_READ, vfs.SHORT_READ])
async def test_a_read_that_fails_stops_the_fleet_until_all_of_the_file_can_be_read(folder: Path, code: int) -> None:
    """A page that cannot be read, or only in part, is no damage yet: told, checked, gone on from; never half a row."""
    path = folder / "botdeck.db"
    async with await Store.open(path, now_ms=NOW_MS) as store:
        for number in range(1, 30):
            await converse(store, "a", number, answer="x" * 4000)
    disk = Disk(folder)
    with disk.watched():
        store = await Store.open(path, now_ms=NOW_MS)
        disk.strike("read", ".db", code, times=None)
        with pytest.raises(StoreError) as caught:
            await store.partition("a").messages.tail("acme", "7", 99)
        assert isinstance(caught.value, StoreDoubtful | StoreCorrupt)
        if isinstance(caught.value, StoreDoubtful):
            assert not await store.probe(NOW_MS)
            disk.heal()
            assert await store.probe(NOW_MS)
            assert len(await store.partition("a").messages.tail("acme", "7", 99)) == 58
        await store.close()


async def test_the_file_is_not_opened_anew_while_a_copy_is_made(folder: Path) -> None:
    """A copy that still reads would keep the old view of the log alive."""
    disk = Disk(folder)
    with disk.watched():
        store = await Store.open(folder / "botdeck.db", now_ms=NOW_MS)
        disk.strike("sync", "-wal", vfs.IO_SYNC)
        with pytest.raises(StoreDoubtful):
            await converse(store, "a", 1)
        store._beside += 1
        assert not await store.probe(NOW_MS)
        store._beside -= 1
        assert await store.probe(NOW_MS)
        await store.close()


async def test_what_waits_in_the_queue_is_refused_after_a_failed_sync(folder: Path) -> None:
    """A group behind the one that failed is not committed: a sync that works now would say nothing of the pages lost."""
    disk = Disk(folder)
    with disk.watched():
        store = await Store.open(folder / "botdeck.db", now_ms=NOW_MS)
        fault = disk.strike("sync", "-wal", vfs.IO_SYNC)
        tasks = [asyncio.ensure_future(store.save_states([(f"b{n}", {"name": "x"})], NOW_MS)) for n in range(1500)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert fault.struck == 1
        assert {type(result) for result in results} == {StoreDoubtful}
        assert await store.probe(NOW_MS)
        disk.strike("sync", "-wal", vfs.IO_SYNC)
        assert not await store.probe(NOW_MS + 1)
        await store.close()
        assert not await store.probe(NOW_MS)
    assert query(folder / "botdeck.db", "SELECT count(*) FROM bots") == [(0,)]


async def test_a_failing_device_at_the_start_is_one_error(folder: Path) -> None:
    """A first start that cannot sync says so and leaves nothing that a second one would trip over."""
    disk = Disk(folder)
    with disk.watched():
        for name in ("-journal", ".db", "-wal"):
            disk.strike("sync", name, vfs.IO_SYNC)
            with pytest.raises(StoreError) as caught:
                await Store.open(folder / "botdeck.db", now_ms=NOW_MS)
            assert str(folder / "botdeck.db") in caught.value.message
            disk.heal()
        async with await Store.open(folder / "botdeck.db", now_ms=NOW_MS) as store:
            await converse(store, "a", 1)
            assert await store.integrity_check() == []
