"""Disks that are full, read-only, gone or damaged: told once, nothing lost, and on again when the cause ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database import Store
from store.errors import StoreCorrupt, StoreError, StoreFull, StoreOpenError, StoreUnavailable
from tests.store.filling import NOW_MS, converse, query, turn, update
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", folder).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def mount(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False)


async def talk_until_fault(store: Store, first: int = 0, limit: int = 5000) -> tuple[int, StoreError]:
    """Answer updates with long texts until the store refuses; return how many turns were acknowledged, and why."""
    for number in range(first, limit):
        try:
            await converse(store, "a", number, answer="x" * 8000)
        except StoreError as error:
            return number, error
    raise AssertionError("the store never refused")


async def insist(store: Store, number: int) -> None:
    """Do a turn again until it is stored, as workers do."""
    while True:
        try:
            await converse(store, "a", number)
        except (StoreFull, StoreUnavailable):
            await store.wait_healthy()
        else:
            return


async def test_a_full_disk_loses_nothing_and_passes(small_disk: Path) -> None:
    """Every acknowledged turn is there; the fault is told, new writes are refused at once, and all goes on."""
    path = small_disk / "botdeck.db"
    store = await Store.open(path, now_ms=NOW_MS)
    watching = asyncio.ensure_future(store.wait_fault())
    done, error = await talk_until_fault(store)
    assert done > 10
    assert isinstance(error, StoreFull)
    assert (await watching, store.fault) == (error, error)
    assert str(path) in error.message
    assert "free some disk space" in error.hint
    waiting = asyncio.ensure_future(insist(store, done))
    assert not await store.probe(NOW_MS)
    assert not waiting.done()
    kept = len(await store.partition("a").messages.tail("acme", "7", 10_000)) // 2
    assert kept in {done, done + 1}  # the fault may have met the note that its answer was sent

    mount("-o", "remount,size=16m", small_disk)
    assert await store.probe(NOW_MS)
    await waiting
    assert store.fault is None
    await store.close()
    assert query(path, "SELECT turns FROM bots") == [(done + 1,)]
    assert query(path, "SELECT count(*) FROM updates WHERE outcome IS NULL") == [(0,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_full_disk_is_one_error_at_the_start_too(small_disk: Path) -> None:
    """Opening where there is no room says so."""
    (small_disk / "ballast").write_bytes(b"x" * (2 * 1024 * 1024 - 8192))
    with pytest.raises(StoreOpenError) as caught:
        await Store.open(small_disk / "botdeck.db", now_ms=NOW_MS)
    assert caught.value.hint


async def test_a_read_only_file_is_one_error_at_the_start(small_disk: Path) -> None:
    """A fleet cannot run from a medium that cannot be written; the sentence says what to do."""
    path = small_disk / "botdeck.db"
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await converse(store, "a", 1)
    mount("-o", "remount,ro", small_disk)
    with pytest.raises(StoreOpenError) as caught:
        await Store.open(path, now_ms=NOW_MS)
    assert str(path) in caught.value.message
    assert caught.value.hint


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from store.database import Store
from store.errors import StoreUnavailable, StoreFull
from tests.store.filling import NOW_MS
from tests.store.test_storage_faults import talk_until_fault, insist

async def main():
    store = await Store.open(Path(sys.argv[1]), now_ms=NOW_MS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    done, error = await talk_until_fault(store)
    while await store.probe(NOW_MS):  # the log emptied into the file makes room for some more
        done, error = await talk_until_fault(store, done)
    waiting = asyncio.ensure_future(insist(store, done))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert await store.probe(NOW_MS)
    await waiting
    await store.close()
    assert "a limit on the size of files, 1,000,000 bytes" in error.message, error
    print(type(error).__name__, done)

asyncio.run(main())
"""


def test_a_limit_on_file_size_is_a_fault_that_passes(path: Path) -> None:
    """RLIMIT_FSIZE neither kills the process nor loses a turn."""
    command = [sys.executable, "-c", LIMITED, str(path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    name, done = ended.stdout.split()
    assert name in {"StoreDoubtful", "StoreFull"}
    assert query(path, "SELECT turns FROM bots") == [(int(done) + 1,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("name", ["botdeck.db", "botdeck.db-wal"])
@pytest.mark.parametrize("replaced", [True, False])
async def test_a_file_taken_away_is_noticed(store: Store, path: Path, name: str, replaced: bool) -> None:
    """Deleted or replaced while open, nothing is acknowledged any more; put back, it goes on."""
    await converse(store, "a", 1)
    file, aside = path.with_name(name), path.with_name("aside")
    file.rename(aside)
    if replaced:
        file.write_bytes(aside.read_bytes())
    assert not await store.probe(NOW_MS)
    assert isinstance(store.fault, StoreUnavailable)
    assert "deleted or replaced" in store.fault.message
    with pytest.raises(StoreUnavailable, match="deleted or replaced"):
        await store.partition("a").updates.receive([update(2)], 3, NOW_MS)
    aside.rename(file)
    assert await store.probe(NOW_MS)
    await converse(store, "a", 2)
    assert query(path, "SELECT turns FROM bots") == [(2,)]


async def test_a_write_into_a_file_without_a_name_is_not_acknowledged(store: Store, path: Path) -> None:
    """Without a probe in between, the very write that went into the deleted file raises."""
    await converse(store, "a", 1)
    path.unlink()
    with pytest.raises(StoreUnavailable, match="deleted or replaced"):
        await store.partition("a").record_turn(turn(None), NOW_MS)
    assert len(await store.partition("a").messages.tail("acme", "7", 9)) >= 2
    await store.close()
    assert not path.exists()


async def test_damage_stops_writing_until_the_file_is_opened_anew(path: Path) -> None:
    """A damaged page, met by a reader or the writer, is a fault that no probe clears: writing on would spread it."""
    async with await Store.open(path, now_ms=NOW_MS) as store:
        for number in range(60):
            await converse(store, "a", number, answer="x" * 1500)
    ((page, size),) = query(
        path, "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'messages'"
    )
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    store = await Store.open(path, now_ms=NOW_MS)
    watching = asyncio.ensure_future(store.wait_fault())
    with pytest.raises(StoreCorrupt, match="damaged"):
        await store.partition("a").messages.tail("acme", "7", 9)
    assert isinstance(await watching, StoreCorrupt)
    assert not await store.probe(NOW_MS)
    with pytest.raises(StoreCorrupt, match="damaged") as caught:
        await store.partition("b").updates.receive([update(1)], 2, NOW_MS)
    assert "botdeck backup" in caught.value.hint
    await store.close()

    store = await Store.open(path, now_ms=NOW_MS)
    with pytest.raises(StoreCorrupt):
        await store.partition("a").record_turn(turn(None), NOW_MS)
    assert isinstance(store.fault, StoreCorrupt)
    assert await store.check() != []
    await store.close()


async def test_waiting_is_over_at_once_when_all_is_well(store: Store) -> None:
    """wait_healthy returns, probe succeeds, and a mistake in a job is no fault."""
    await store.wait_healthy()
    assert await store.probe(NOW_MS)
    await store.append_metrics([("a", "m", 1, 1, 1.0, 1.0, 1.0)])
    with pytest.raises(Exception, match="cannot store TEXT"):
        await store.append_metrics([("a", "m", "x", 1, 1.0, 1.0, 1.0)])  # type: ignore[list-item]
    assert store.fault is None
    await eventually(lambda: store.pending == 0)
    assert store.stats.writer.jobs >= 2
