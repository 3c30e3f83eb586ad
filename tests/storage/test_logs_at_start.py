"""A log found at the start that is not what it should be: cut short, garbage, of another file, left by a failing device."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from store import opening
from store.database import Store
from store.errors import StoreDoubtful, StoreError, StoreOpenError
from store.inspection import first_look
from store.reader import address
from tests.operated import botdeck
from tests.storage import vfs
from tests.storage.disk import Disk, nothing, restore
from tests.storage.power import Acknowledged, judge
from tests.store.filling import NOW_MS, converse, query

pytestmark = pytest.mark.anyio

TURNS = 12


async def leave(path: Path, left: Path, bot_id: str = "a") -> tuple[int, list[int]]:
    """Make a database; leave a copy of it as a kill does. Returns size and ends of its log's transactions."""
    ends = []
    async with await Store.open(path, now_ms=NOW_MS) as store:
        for number in range(1, TURNS + 1):
            await converse(store, bot_id, number, answer="x" * 500)
            ends.append(path.with_name(f"{path.name}-wal").stat().st_size)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{left}{suffix}")
    return ends[-1], ends


async def test_a_log_cut_short_anywhere_leaves_whole_turns(tmp_path: Path) -> None:
    """Truncated or overwritten with garbage from any point on, what stands before it is whole turns in order."""
    left = tmp_path / "left.db"
    size, ends = await leave(tmp_path / "made.db", left)
    whole = Path(f"{left}-wal").read_bytes()
    for at in range(0, size, size // 37):
        for rest in (b"", os.urandom(size - at)):
            Path(f"{left}-shm").unlink(missing_ok=True)
            shutil.copy(tmp_path / "left.db", tmp_path / "tried.db")
            (tmp_path / "tried.db-wal").write_bytes(whole[:at] + rest)
            async with await Store.open(tmp_path / "tried.db", now_ms=NOW_MS) as store:
                assert await store.integrity_check() == []
                (turns,) = query(store.path, "SELECT coalesce(max(turns), 0), coalesce(max(turns), 0) FROM bots")[0][:1]
                assert query(store.path, "SELECT count(*) FROM messages") == [(2 * turns,)]
                assert turns >= sum(end <= at for end in ends)


@pytest.mark.parametrize("garbage", [b"", b"\0" * 50_000, b"letter " * 9000, b"\x37\x7f\x06\x82" + b"\xff" * 40_000])
async def test_garbage_in_place_of_a_log_is_no_log(tmp_path: Path, garbage: bytes) -> None:
    """Nothing of it reaches the file, and the store begins a log of its own."""
    path = tmp_path / "botdeck.db"
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await converse(store, "a", 1)
    path.with_name("botdeck.db-wal").write_bytes(garbage)
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await converse(store, "a", 2)
        assert await store.integrity_check() == []
        assert query(path, "SELECT turns FROM bots") == [(2,)]


async def test_stopping_while_the_device_is_in_doubt_leaves_the_log_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last connection would copy the log and delete it, trusting pages that a failed sync has lost."""
    path, disk = folder / "data" / "botdeck.db", Disk(folder)
    with disk.watched():
        store = await Store.open(path, now_ms=NOW_MS)
        for number in range(1, 6):
            await talk(store, number)
        disk.strike("sync", "-wal", vfs.IO_SYNC, times=None)
        with pytest.raises(StoreDoubtful):
            await talk(store, 6)
        disk.heal()
        await store.close()
        left = disk.now().left(nothing)
        assert len(path.with_name("botdeck.db-wal").read_bytes()) > 0
    restore(left, disk.root, folder.parent / "left")
    assert await judge(folder.parent / "left", Acknowledged({("answered", "bot0"): 5, ("sent", "bot0"): 5})) == []


async def talk(store: Store, number: int) -> None:
    """Do one turn of two sends."""
    from tests.storage.power import SENDS

    await converse(store, "bot0", number, sends=SENDS)


async def test_a_start_after_a_failed_sync_reads_what_the_device_has(folder: Path) -> None:
    """A process killed after a failed sync: the next one must not go on behind turns that only memory still shows."""
    path, disk = folder / "data" / "botdeck.db", Disk(folder)
    with disk.watched():
        store = await Store.open(path, now_ms=NOW_MS)
        for number in range(1, 6):
            await talk(store, number)
        disk.strike("sync", "-wal", vfs.IO_SYNC, times=None)
        with pytest.raises(StoreError):
            await talk(store, 6)
        disk.heal()
        store._writer._connection.interrupt()
        await store.close()  # in doubt, this leaves the files as a kill does
        async with await Store.open(path, now_ms=NOW_MS) as store:
            for number in range(7, 9):
                await talk(store, number)
            left = disk.now().left(nothing)
    restore(left, disk.root, folder.parent / "left")
    wrong = await judge(folder.parent / "left", Acknowledged({("answered", "bot0"): 7}))
    assert [text for text in wrong if "offset" not in text] == []


@pytest.mark.parametrize("mine", [1, 40])
async def test_the_log_of_another_database_is_never_played(tmp_path: Path, mine: int) -> None:
    """It would replace the pages of this one without a word: refused in one sentence, and not a byte changes."""
    path, left = tmp_path / "botdeck.db", tmp_path / "left.db"
    async with await Store.open(path, now_ms=NOW_MS) as store:
        for number in range(1, mine + 1):
            await converse(store, "mine", number)
    await leave(tmp_path / "other.db", left, "other")
    shutil.copy(f"{left}-wal", f"{path}-wal")
    before = path.read_bytes()
    for look in (first_look, lambda path: opening.open_for_writing(path, NOW_MS, "full")):
        with pytest.raises(StoreOpenError, match="belongs to another database"):
            look(path)
    assert path.read_bytes() == before
    for suffix in ("-wal", "-shm"):
        path.with_name(f"botdeck.db{suffix}").unlink()
    async with await Store.open(path, now_ms=NOW_MS) as store:
        assert query(store.path, "SELECT bot_id, turns FROM bots WHERE turns > 0") == [("mine", mine)]


def header(version: int, order: str, rest: bytes) -> bytes:
    """Return the header of a log of a version, rest being what follows its version: right in all it says."""
    begun = struct.pack(">2I", 0x377F0682 | (order == ">"), version) + rest[:16]
    one = two = 0
    for first, second in struct.iter_unpack(f"{order}2I", begun):
        one = (one + first + two) % 2**32
        two = (two + second + one) % 2**32
    return begun + struct.pack(">2I", one, two)


@pytest.mark.parametrize(("version", "order"), [(3_007_001, "<"), (3_006_999, ">"), (3_021_000, "<")])
async def test_a_log_of_another_version_is_refused_as_one(tmp_path: Path, version: int, order: str) -> None:
    """Every command says who wrote it and what to do; no byte of it or of its file changes, and nothing in it is lost."""
    made, path = tmp_path / "made.db", tmp_path / "fleet" / "botdeck.db"
    path.parent.mkdir()
    (path.parent / "fleet.toml").write_text("")
    await leave(made, path)
    log = path.with_name("botdeck.db-wal")
    true = log.read_bytes()
    assert header(3_007_000, "<", true[8:]) == true[:32]
    log.write_bytes(header(version, order, true[8:]) + true[32:])
    before = path.read_bytes(), log.read_bytes()
    with (
        closing(sqlite3.connect(address(path), uri=True)) as connection,
        pytest.raises(sqlite3.OperationalError, match="unable to open"),
    ):
        connection.execute("SELECT 1 FROM sqlite_schema")
    for look in (first_look, lambda path: opening.open_for_writing(path, NOW_MS, "full"), opening.check_readable):
        with pytest.raises(StoreOpenError, match=f"written by another version of SQLite .*{version}"):
            look(path)
    for command in ("run --no-ui", "doctor --no-network", "status"):
        said = botdeck(*command.split(), "-C", str(path.parent))
        assert said.returncode == 1
        assert (said.stdout + said.stderr).count(f"{log} was written by another version of SQLite") == 1
        assert (said.stdout + said.stderr).count("open botdeck.db once with that version") == 1
        assert "by itself" not in said.stdout + said.stderr
    assert (path.read_bytes(), log.read_bytes()) == before
    log.write_bytes(true)
    async with await Store.open(path, now_ms=NOW_MS) as store:
        assert query(store.path, "SELECT turns FROM bots") == [(TURNS,)]


@pytest.mark.parametrize(
    ("what", "name", "code"),
    [("open", "-wal", vfs.CANNOT_OPEN), ("read", ".db", vfs.IO_READ), ("read", "-wal", vfs.IO_READ)],
)
async def test_a_file_that_cannot_be_looked_at_is_no_fleet_that_waits(
    folder: Path, what: str, name: str, code: int
) -> None:
    """Before anything runs there is nothing that could go on by itself: one error, and what to look after."""
    path = folder / "botdeck.db"
    await leave(folder.parent / "made.db", path)
    disk = Disk(folder)
    with disk.watched():
        disk.strike(what, name, code, times=None)
        with pytest.raises(StoreOpenError) as caught:
            first_look(path)
    assert str(path) in caught.value.message
    assert caught.value.hint.startswith("check ")
    assert "by itself" not in caught.value.hint


async def test_a_log_left_beside_a_copy_put_in_the_place_of_its_file_is_not_played(tmp_path: Path) -> None:
    """Who restores a copy and forgets the log of a fleet that was killed is told so."""
    made, left, copy = tmp_path / "made.db", tmp_path / "left.db", tmp_path / "copy.db"
    async with await Store.open(made, now_ms=NOW_MS) as store:
        await converse(store, "a", 1)
        await store.backup(copy)
    await leave(made, left)
    shutil.copy(copy, left)
    with pytest.raises(StoreOpenError, match="belongs to another database"):
        first_look(left)


async def test_shared_memory_of_another_database_is_harmless(tmp_path: Path) -> None:
    """Whoever opens a file first makes it anew."""
    path, other = tmp_path / "botdeck.db", tmp_path / "other.db"
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await converse(store, "a", 1)
    async with await Store.open(other, now_ms=NOW_MS) as store:
        for number in range(1, TURNS + 1):
            await converse(store, "b", number)
        shutil.copy(f"{other}-shm", f"{path}-shm")
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await converse(store, "a", 2)
        assert await store.integrity_check() == []
        assert query(path, "SELECT bot_id, turns FROM bots") == [("a", 2)]
