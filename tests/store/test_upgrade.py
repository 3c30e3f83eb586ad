"""A filled database of the first format becomes one of the newest: whole, or not at all, whenever it is cut off."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from store import migrate, transfer
from store.database import Store
from tests.store.filling import NOW_MS, converse, dump, fill, query

KILLED = """
import os, signal, sqlite3, sys
from store import migrate
last = int(sys.argv[2])
seen = 0

def count(statement):
    global seen
    seen += 1
    if seen == last:
        os.kill(os.getpid(), signal.SIGKILL)

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.set_trace_callback(count)
migrate.migrate(connection, 1)
connection.set_trace_callback(None)
print(seen)
"""


async def make(path: Path) -> None:
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await fill(store, "a", turns=3)
        await fill(store, "b")


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A database of the first format, with rows in each of its tables."""
    newest, old = tmp_path / "newest.db", tmp_path / "botdeck.db"
    asyncio.run(make(newest))
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        migrate.migrate(connection, NOW_MS, upto=1)
        connection.execute("DELETE FROM meta")
        connection.execute("ATTACH ? AS filled", (str(newest),))
        for table in transfer.tables(connection):
            names = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM filled.{table}")
        connection.execute("DELETE FROM meta WHERE key > 'migration:0001'")
    return old


@pytest.mark.anyio
async def test_every_row_of_the_first_format_is_kept(first: Path) -> None:
    """Its columns as they were, new ones empty, the price of what was spent not known; and the bot goes on."""
    before = dump(first)
    async with await Store.open(first, now_ms=NOW_MS) as store:
        after = dump(first)
        for table, rows in before.items():
            width = len(rows[0])
            kept = [row[:width] for row in after[table] if table != "meta" or row[1] <= "migration:0001"]
            assert kept == rows, table
        assert set(after) - set(before) == {"profiles", "summaries", "access", "pairing_codes", "chats", "api_keys"}
        assert [row[-1] for row in after["usage"]] == [None] * len(after["usage"])
        await converse(store, "a", 77)
        assert len(await store.partition("a").messages.tail("acme", "7", 99)) == 8
    assert query(first, "PRAGMA integrity_check") == [("ok",)]
    assert dump(first.with_name(f"botdeck.db.before-{migrate.newest():04}")) == before


def test_an_upgrade_killed_at_any_statement_is_done_or_not_begun(first: Path, tmp_path: Path) -> None:
    """Whatever statement a kill meets: the file is of one format or the other, and the next start completes it."""
    place, killed, number = tmp_path / "k" / "botdeck.db", 0, 0
    while True:
        number += 1
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.mkdir()
        shutil.copy(first, place)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(place), str(number)], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        killed += 1
        version = query(place, "PRAGMA user_version")[0][0]
        tables = {name for (name,) in query(place, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert ("profiles" in tables, "chats" in tables, "api_keys" in tables) == (
            version > 1,
            version > 1,
            version > 2,
        )
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            assert migrate.migrate(connection, 1) == [*range(version + 1, migrate.newest() + 1)]
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert killed > 10


@pytest.mark.anyio
async def test_an_export_of_the_first_format_can_be_imported(first: Path, tmp_path: Path) -> None:
    """What an older botdeck wrote fits into a newer one; new columns hold their defaults."""
    rows = transfer.export(first, "a", tmp_path / "a.jsonl")
    async with await Store.open(tmp_path / "other.db", now_ms=NOW_MS) as store:
        assert await store.import_partition(tmp_path / "a.jsonl", now_ms=NOW_MS) == ("a", rows)
        assert len(await store.partition("a").messages.tail("acme", "7", 99)) == 6
        assert {row[-1] for row in dump(store.path, only="a")["usage"]} == {None}
