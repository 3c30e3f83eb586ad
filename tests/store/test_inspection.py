"""A file its last process did not close: looked at before anything is written to it, or beside the fleet."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from store import inspection
from store.database import Store
from store.errors import StoreCorrupt, StoreError
from store.inspection import aside, first_look
from tests.store.damaging import damage, leave_as_killed
from tests.store.filling import NOW_MS, converse, query
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def killed(path: Path, tmp_path: Path) -> Path:
    """A database as a kill leaves it: marked as open, with a log beside it."""
    left = tmp_path / "killed" / "botdeck.db"
    left.parent.mkdir()
    await leave_as_killed(path, left)
    return left


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the shared memory, and a log that is empty: they hold no data."""
    found = {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".db-shm"}
    return {name: data for name, data in found.items() if data}


async def test_a_small_damaged_file_is_refused_before_anything_is_written(killed: Path) -> None:
    """Not a byte of it changes, and it is refused again and again."""
    damage(killed)
    before = contents(killed.parent)
    for _ in range(2):
        with pytest.raises(StoreCorrupt) as caught:
            first_look(killed)
    assert str(killed) in caught.value.message
    assert "restore" in caught.value.hint
    assert contents(killed.parent) == before


async def test_only_a_small_file_that_was_not_closed_is_looked_at(
    killed: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill's file is; a closed one, none at all, another program's and a large one are not, damaged or not."""
    assert first_look(killed)
    assert not first_look(path)
    assert not first_look(tmp_path / "nothing.db")
    (tmp_path / "other.db").write_bytes(b"not a database" * 1000)
    assert not first_look(tmp_path / "other.db")
    damage(killed)
    monkeypatch.setattr(inspection, "FIRST_BYTES", 1000)
    assert not first_look(killed)


async def test_the_log_counts_as_part_of_the_file(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file with a long log takes as long to check as a large one."""
    monkeypatch.setattr(inspection, "FIRST_BYTES", killed.stat().st_size)
    assert Path(f"{killed}-wal").stat().st_size > 0
    assert not first_look(killed)


async def test_damage_found_beside_the_fleet_stops_all_writing(killed: Path) -> None:
    """The check makes it a fault for good; what was committed stays readable where it is whole."""
    damage(killed)
    async with await Store.open(killed, now_ms=NOW_MS) as store:
        assert store.unclean
        watching = asyncio.ensure_future(store.wait_fault())
        assert await store.check() != []
        fault = await watching
        assert isinstance(fault, StoreCorrupt)
        assert "restore" in fault.hint
        with pytest.raises(StoreCorrupt):
            await converse(store, "a", 1000)
        assert not await store.probe(NOW_MS)
        assert store.fault is fault


@pytest.mark.parametrize("harm", [True, False])
async def test_a_file_nobody_found_whole_is_checked_at_the_next_start(killed: Path, *, harm: bool) -> None:
    """Closed before its check, or after it found damage, a file stays marked; found whole, it does not."""
    if harm:
        damage(killed)
    for _ in range(2):
        async with await Store.open(killed, now_ms=NOW_MS) as store:
            assert store.unclean
    async with await Store.open(killed, now_ms=NOW_MS) as store:
        assert await store.check() == [] or harm
    async with await Store.open(killed, now_ms=NOW_MS) as store:
        assert store.unclean == harm


async def test_a_file_that_cannot_be_looked_at_is_not_called_damaged(killed: Path) -> None:
    """A check that meets another fault says so, and the file is written on."""
    async with await Store.open(killed, now_ms=NOW_MS) as store:
        killed.rename(killed.with_suffix(".away"))
        with pytest.raises(StoreError):
            await store.check()
        killed.with_suffix(".away").rename(killed)
        assert store.fault is None
        assert await store.check() == []
    assert query(killed, "SELECT value FROM meta WHERE key = 'open'") == [("no",)]


async def test_a_check_that_is_not_waited_for_holds_nothing_up() -> None:
    """Cancelled, it is left behind in a thread that keeps no process alive, and what it finds harms nobody."""
    begun, end = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def work() -> int:
        threads.append(threading.current_thread())
        begun.set()
        end.wait(10)
        return 1

    task = asyncio.ensure_future(aside(work))
    await eventually(begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert threads[0].is_alive()
    assert threads[0].daemon
    end.set()
    await eventually(lambda: not threads[0].is_alive())
    assert await aside(lambda: 2) == 2
