"""Opening a database: new, older, newer, damaged, misplaced, left behind by a process that was killed."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store import migrate
from store.database import Store
from store.errors import StoreError, StoreOpenError
from tests.store.filling import NOW_MS, converse, dump, fill, query

pytestmark = pytest.mark.anyio


async def refusal(path: Path) -> StoreOpenError:
    with pytest.raises(StoreOpenError) as caught:
        await Store.open(path, now_ms=NOW_MS)
    assert str(path.name) in caught.value.message
    assert caught.value.hint
    return caught.value


async def test_a_new_database_is_made_with_its_folder(tmp_path: Path) -> None:
    """Folders are made, the file is private, in WAL mode with the page size measured to be best."""
    path = tmp_path / "deep" / "er" / "fleet?#%.db"
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await converse(store, "a", 1)
        settings = "SELECT page_size, journal_mode FROM pragma_page_size, pragma_journal_mode"
        assert query(path, settings) == [(8192, "wal")]
        assert path.stat().st_mode & 0o777 == 0o600
        assert not store.unclean
    assert query(path, "PRAGMA user_version") == [(migrate.newest(),)]


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("normal", 1)])
async def test_durability_is_what_was_asked_for(path: Path, durability: str, synchronous: int) -> None:
    """full syncs the log at every commit."""
    async with await Store.open(path, now_ms=NOW_MS, durability=durability) as store:
        found = await store._writer.write(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])
    assert found == synchronous


async def test_a_clean_stop_is_told_from_a_kill(path: Path, tmp_path: Path) -> None:
    """The mark of an open database stands in a copy taken while it was open, and not after it was closed."""
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await converse(store, "a", 1)
        for file in tmp_path.glob("botdeck.db*"):
            shutil.copy(file, tmp_path / file.name.replace("botdeck", "killed"))
    async with await Store.open(path, now_ms=NOW_MS) as store:
        assert not store.unclean
    (tmp_path / "killed.db-shm").unlink()
    async with await Store.open_readonly(tmp_path / "killed.db") as store:
        assert len(await store.partition("a").messages.tail("acme", "7", 9)) == 2
    async with await Store.open(tmp_path / "killed.db", now_ms=NOW_MS) as store:
        assert store.unclean
        assert (await store.check(), await store.integrity_check()) == ([], [])
        assert len(await store.partition("a").messages.tail("acme", "7", 9)) == 2


async def test_a_newer_database_is_refused_in_one_sentence(path: Path) -> None:
    """What a newer botdeck wrote is not touched, and the sentence says both formats."""
    async with await Store.open(path, now_ms=NOW_MS):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {migrate.newest() + 7}")
    before = path.read_bytes()
    error = await refusal(path)
    assert f"format {migrate.newest() + 7}, this one knows {migrate.newest()}" in error.message
    with pytest.raises(StoreOpenError, match="newer botdeck"):
        await Store.open_readonly(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"this is a letter, not a database, " * 300, b"SQLite format 3\x00" + b"\xff" * 9000]
)
async def test_another_file_is_refused_and_kept(path: Path, content: bytes) -> None:
    """A file that is no database, or whose head is damaged, is named and left as it is."""
    path.write_bytes(content)
    error = await refusal(path)
    assert "not a database" in error.message
    assert path.read_bytes() == content


async def test_a_damaged_schema_is_refused(path: Path) -> None:
    """Damage found while opening is one clear error with the way out."""
    async with await Store.open(path, now_ms=NOW_MS):
        pass
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4000)
    error = await refusal(path)
    assert "damaged" in error.message
    assert "botdeck backup" in error.hint


@pytest.mark.parametrize("name", ["file/botdeck.db", "folder", "x" * 300])
async def test_a_path_that_cannot_be_is_named(tmp_path: Path, name: str) -> None:
    """Below a file, in place of a folder, longer than names may be."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    await refusal(tmp_path / name)


async def test_a_log_of_another_sqlite_is_refused(path: Path, tmp_path: Path) -> None:
    """A -wal file of a format this SQLite does not know is an error, not an empty database."""
    async with await Store.open(path, now_ms=NOW_MS):
        pass
    header = struct.pack(">IIIIII", 0x377F0682, 9_999_999, 8192, 0, 1, 2)
    first = second = 0
    for low, high in struct.iter_unpack("<II", header):
        first = (first + low + second) & 0xFFFFFFFF
        second = (second + high + first) & 0xFFFFFFFF
    (tmp_path / "botdeck.db-wal").write_bytes(header + struct.pack(">II", first, second) + b"\0" * 9000)
    error = await refusal(path)
    assert "another version of SQLite" in error.message


# --- migrations ------------------------------------------------------------------------------------------------


@pytest.fixture
def next_migration(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Pretend that there is one more migration than there is."""
    number = migrate.newest() + 1
    known = migrate.migrations() | {number: "ALTER TABLE bots ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';"}
    monkeypatch.setattr(migrate, "migrations", lambda: known)
    return number


def make_version(path: Path, number: int) -> None:
    """Make a database as the botdeck of that format made it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate.migrate(connection, NOW_MS, upto=number)
        connection.execute(
            "INSERT INTO bots (bot_id, name, created_ms, updated_ms) VALUES ('a', 'Old', ?, ?)", (NOW_MS, NOW_MS)
        )


@pytest.mark.parametrize("number", range(1, migrate.newest() + 1))
async def test_every_older_version_is_brought_up_to_date(path: Path, next_migration: int, number: int) -> None:
    """Missing migrations are applied in order, each with its record; a verified backup of before lies beside."""
    make_version(path, number)
    async with await Store.open(path, now_ms=NOW_MS + 1):
        assert query(path, "SELECT name, mood FROM bots") == [("Old", "calm")]
    kept = path.with_name(f"botdeck.db.before-{next_migration:04}")
    assert query(kept, "PRAGMA user_version") == [(number,)]
    assert query(kept, "PRAGMA integrity_check") == [("ok",)]
    assert query(kept, "SELECT name FROM bots") == [("Old",)]
    records = query(path, "SELECT key, updated_ms FROM meta WHERE key LIKE 'migration:%' ORDER BY key")
    expected = [(f"migration:{n:04}", NOW_MS if n <= number else NOW_MS + 1) for n in range(1, next_migration + 1)]
    assert records == expected


async def test_an_upgrade_may_go_without_a_backup(path: Path, tmp_path: Path, next_migration: int) -> None:
    """When the operator has one already."""
    make_version(path, 1)
    async with await Store.open(path, now_ms=NOW_MS, backup_before_migration=False):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["botdeck.db"]


async def test_a_failing_migration_leaves_no_trace(
    path: Path, next_migration: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration and its record are one transaction: half a migration is none, and the file still opens before it."""
    make_version(path, next_migration - 1)
    real = migrate.migrations()
    broken = real | {next_migration: real[next_migration] + "INSERT INTO nowhere VALUES (1);"}
    monkeypatch.setattr(migrate, "migrations", lambda: broken)
    before = dump(path)
    await refusal(path)
    assert dump(path) == before
    assert query(path, "PRAGMA user_version") == [(next_migration - 1,)]
    monkeypatch.undo()
    async with await Store.open(path, now_ms=NOW_MS) as store:
        assert [s.name for s in await store.states()] == ["Old"]


# --- to look at ------------------------------------------------------------------------------------------------


async def test_reading_beside_a_fleet_and_without_one(path: Path) -> None:
    """A read-only store sees what is committed, also after the fleet has stopped, and refuses to write."""
    async with await Store.open(path, now_ms=NOW_MS) as fleet:
        await fill(fleet, "a")
        async with await Store.open_readonly(path) as seen:
            assert [(s.bot_id, s.inbox_open) for s in await seen.statuses()] == [("a", 1)]
            await fleet.partition("a").state.save(NOW_MS, name="Later")
            assert [s.name for s in await seen.states()] == ["Later"]
            with pytest.raises(StoreError, match="read only"):
                await seen.partition("a").state.save(NOW_MS, name="x")
            assert not await seen.probe(NOW_MS)
    before = path.read_bytes()
    async with await Store.open_readonly(path) as seen:
        assert len(await seen.partition("a").logs.tail()) == 1
    assert path.read_bytes() == before


async def test_reading_needs_a_database_of_this_version(path: Path, next_migration: int) -> None:
    """No file, another file, an older format: each is said, and nothing is made."""
    for hint in ("botdeck run",):
        with pytest.raises(StoreOpenError, match="there is no database") as caught:
            await Store.open_readonly(path)
        assert hint in caught.value.hint
    assert not path.exists()
    make_version(path, next_migration - 1)
    with pytest.raises(StoreOpenError, match="older botdeck"):
        await Store.open_readonly(path)
    path.write_bytes(b"letter" * 1000)
    with pytest.raises(StoreOpenError, match="not a database"):
        await Store.open_readonly(path)


async def test_a_closed_store_says_so(path: Path) -> None:
    """Closing twice is fine; asking afterwards is an error that does not pass."""
    store = await Store.open(path, now_ms=NOW_MS)
    await store.close()
    await store.close()
    for asked in (store.partition("a").state.load(), store.partition("a").state.save(NOW_MS, name="x")):
        with pytest.raises(StoreError, match="is closed"):
            await asked
    assert not await store.probe(NOW_MS)
