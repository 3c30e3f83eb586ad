"""Backups, exports, imports and removal: whole, verified, never half."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from store import transfer
from store.database import Store
from store.errors import StoreError
from tests.store.filling import NOW_MS, converse, dump, fill, query
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


async def test_no_commit_makes_a_backup_begin_anew(
    store: Store, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a commit between any two steps the copy still ends: it is of the moment it began."""
    await fill(store, "a")
    before = dump(path)
    committing = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    steps: list[int] = []

    class Disturbed(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, **_: Any) -> None:
            super().backup(target, pages=1, progress=commit)

    def commit(_: int, remaining: int, total: int) -> None:
        committing.execute("UPDATE bots SET turns = turns + 1")
        steps.append(remaining)
        assert len(steps) <= total, "the copy began anew"

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=Disturbed, **k))
    await store.backup(tmp_path / "copy.db")
    monkeypatch.undo()
    committing.close()
    assert steps == sorted(steps, reverse=True)
    assert dump(tmp_path / "copy.db") == before


async def test_a_backup_is_taken_while_turns_go_on(store: Store, path: Path, tmp_path: Path) -> None:
    """The copy is whole, of one moment, private, and not marked as left behind."""
    await fill(store, "a")
    stop = asyncio.Event()

    async def talk() -> int:
        number = 100
        while not stop.is_set():
            await converse(store, "b", number)
            number += 1
        return number - 100

    talking = asyncio.ensure_future(talk())
    await eventually(lambda: store.stats.writer.jobs > 30)
    target = tmp_path / "copy.db"
    await store.backup(target)
    stop.set()
    assert await talking > 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert query(target, "PRAGMA integrity_check") == [("ok",)]
    assert dump(target, only="a") == dump(path, only="a")
    turns, messages = query(target, "SELECT (SELECT sum(turns) FROM bots), (SELECT count(*) FROM messages)")[0]
    assert messages == 2 * turns
    async with await Store.open(target, now_ms=NOW_MS) as copy:
        assert not copy.unclean
        assert await copy.check() == []


async def test_a_backup_overwrites_only_when_told(store: Store, path: Path, tmp_path: Path) -> None:
    """An existing file is refused and kept; with the flag it is replaced. Nothing half made stays anywhere."""
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        await store.backup(target)
    assert target.read_text() == "precious"
    await store.backup(target, overwrite=True)
    assert query(target, "PRAGMA integrity_check") == [("ok",)]
    with pytest.raises(StoreError, match="cannot write"):
        await store.backup(tmp_path / "nowhere" / "copy.db")
    assert not list(tmp_path.rglob("*.partial"))


async def test_a_damaged_database_gives_no_backup(path: Path, tmp_path: Path) -> None:
    """A copy that does not verify does not get the name, though every page could be read."""
    async with await Store.open(path, now_ms=NOW_MS) as store:
        for number in range(60):
            await converse(store, "a", number, answer="x" * 1500)
    damage(path, "messages")
    async with await Store.open(path, now_ms=NOW_MS) as store:
        assert await store.check() != []
        with pytest.raises(StoreError, match="damaged"):
            await store.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def damage(path: Path, table: str) -> None:
    """Overwrite the second half of a table's root page."""
    ((page, size),) = query(
        path, "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = ?", table
    )
    with path.open("r+b") as file:
        file.seek((page - 1) * size + 12)
        file.write(b"\xff" * (size - 12))


async def test_a_bot_is_carried_to_another_fleet_under_another_name(store: Store, path: Path, tmp_path: Path) -> None:
    """Every row of every table arrives as it was, but for the name; the file is private."""
    await fill(store, "a", turns=400)
    await fill(store, "b")
    file = tmp_path / "a.jsonl"
    rows = await store.export_partition("a", file)
    assert file.stat().st_mode & 0o777 == 0o600
    async with await Store.open(tmp_path / "other.db", now_ms=NOW_MS) as other:
        await fill(other, "b")
        kept = dump(other.path, only="b")
        assert await other.import_partition(file, "c", now_ms=NOW_MS) == ("c", rows)
        assert await other.import_partition(file, now_ms=NOW_MS) == ("a", rows)
        original, copied = dump(path, only="a"), dump(other.path, only="c")
        assert {t: [row[1:] for row in found] for t, found in copied.items()} == {
            t: [row[1:] for row in found] for t, found in original.items()
        }
        assert dump(other.path, only="b") == kept
        assert sum(map(len, original.values())) == rows
        newest = max(row[1] for row in original["outbox"])
        assert min(await converse(other, "c", 9000, NOW_MS - 9_000_000)) > newest


async def test_a_bot_with_rows_is_not_imported_over(store: Store, path: Path, tmp_path: Path) -> None:
    """The partition must be empty; what is in it stays."""
    await fill(store, "a")
    await store.export_partition("a", tmp_path / "a.jsonl")
    before = dump(path)
    with pytest.raises(StoreError, match="has rows already"):
        await store.import_partition(tmp_path / "a.jsonl", now_ms=NOW_MS)
    with pytest.raises(StoreError, match="exists already"):
        await store.export_partition("a", tmp_path / "a.jsonl")
    assert dump(path) == before


def resign(lines: list[bytes]) -> bytes:
    """Give lines of an export a footer that fits."""
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    return b"".join(lines) + json.dumps({"rows": len(lines) - 1, "sha256": digest}).encode() + b"\n"


def edit_header(lines: list[bytes], **changes: Any) -> bytes:
    return resign([json.dumps(json.loads(lines[0]) | changes).encode() + b"\n", *lines[1:-1]])


def edit_columns(lines: list[bytes], **changes: Any) -> bytes:
    return edit_header(lines, columns=json.loads(lines[0])["columns"] | changes)


BROKEN = {
    "a changed letter": (lambda lines: b"".join(lines).replace(b'"q1"', b'"q2"'), "checksum"),
    "a lost line": (lambda lines: b"".join(lines[:3] + lines[4:]), "checksum"),
    "cut short": (lambda lines: b"".join(lines)[: len(b"".join(lines)) // 2], "cut short"),
    "no footer": (lambda lines: b"".join(lines[:-1]), "cut short"),
    "empty": (lambda lines: b"", "not an export"),
    "a letter": (lambda lines: b"dear reader\n", "not an export"),
    "bytes": (lambda lines: b"\xff\xfe\x00", "not an export"),
    "other JSON": (lambda lines: b'[1]\n{"a":1}\n', "not an export"),
    "newer": (lambda lines: edit_header(lines, version=999), "newer botdeck"),
    "a wrong name": (lambda lines: edit_header(lines, bot_id="../x"), "no bot_id"),
    "an unknown column": (lambda lines: edit_columns(lines, bots=["shoe_size"]), "does not know"),
    "an unknown table": (lambda lines: edit_columns(lines, shoes=["size"]), "does not know"),
    "a header without columns": (lambda lines: edit_header(lines, columns=None), "not an export"),
    "an empty unknown table": (lambda lines: edit_columns(lines, shoes=[]), "does not know"),
    "a line that is no row": (lambda lines: resign([lines[0], b'{"table":"shoes"}\n']), "line 2 of"),
    "a row of no table": (lambda lines: resign([lines[0], b'{"table":"shoes","row":[1]}\n']), "fits no table"),
    "a wrong length": (lambda lines: resign([lines[0], b'{"table":"bots","row":[1]}\n']), "fits no table"),
    "a wrong type": (lambda lines: resign([lines[0], _wrong_row()]), "does not fit"),
}


def _wrong_row() -> bytes:
    return b'{"table":"registrations","row":["one","active","{}","{}",1]}\n'


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_export_is_refused_whole(store: Store, path: Path, tmp_path: Path, name: str) -> None:
    """Changed, cut short, foreign, newer or not fitting: one error, and not a row is stored."""
    await fill(store, "a")
    file = tmp_path / "a.jsonl"
    await store.export_partition("a", file)
    await store.remove_partition("a")
    before = dump(path)
    edit, expected = BROKEN[name]
    file.write_bytes(edit(file.read_bytes().splitlines(keepends=True)))
    with pytest.raises(StoreError, match=expected):
        await store.import_partition(file, now_ms=NOW_MS)
    assert dump(path) == before


async def test_an_import_cut_off_is_taken_back(
    store: Store, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled in the middle, nothing of it stays, and it can be done again."""
    await fill(store, "a", turns=50)
    rows = await store.export_partition("a", tmp_path / "a.jsonl")
    await store.remove_partition("a")
    monkeypatch.setattr(transfer, "BATCH", 10)
    importing = asyncio.ensure_future(store.import_partition(tmp_path / "a.jsonl", now_ms=NOW_MS))
    await eventually(lambda: dump(path, only="a")["messages"])
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert not any(dump(path, only="a").values())
    assert await store.import_partition(tmp_path / "a.jsonl", now_ms=NOW_MS) == ("a", rows)


@pytest.mark.parametrize("mark", transfer.UNFINISHED)
async def test_what_the_process_left_half_done_is_ended_at_the_next_start(path: Path, mark: str) -> None:
    """A partition whose import or removal was cut off by a kill is removed; its neighbours stay."""
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await fill(store, "a")
        await fill(store, "b")
        kept = dump(path, only="b")
        sql = "INSERT INTO meta VALUES ('a', ?, '', 0)"
        await store._writer.write(lambda connection: connection.execute(sql, (mark,)))
    async with await Store.open(path, now_ms=NOW_MS) as store:
        assert await store.bot_ids() == ["b"]
        assert not any(dump(path, only="a").values())
        assert dump(path, only="b") == kept


async def test_a_removed_bot_leaves_nothing_and_may_come_again(store: Store, path: Path) -> None:
    """All its rows go, counted, memory included; the bot can begin anew."""
    await fill(store, "a", turns=300)
    await store.partition("a").messages.tail("acme", "7", 5)
    rows = sum(map(len, dump(path, only="a").values()))
    assert await store.remove_partition("a") == rows
    assert await store.remove_partition("a") == 0
    assert await store.partition("a").messages.tail("acme", "7", 5) == []
    await converse(store, "a", 1)
    assert [m.seq for m in await store.partition("a").messages.tail("acme", "7", 5)] == [1, 2]
