"""Imports nobody could have exported, and copies that would replace what must not be replaced."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from store.database import Store
from store.errors import StoreError
from tests.store.filling import NOW_MS, dump, fill, query
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


def spoiled(content: bytes, table: str, column: str, value: Any) -> bytes:
    """Return an export with one value of one table changed and a footer that fits."""
    lines = content.splitlines(keepends=True)
    place = json.loads(lines[0])["columns"][table].index(column)
    rows = [json.loads(line) for line in lines[1:-1]]
    for row in rows:
        if row["table"] == table:
            row["row"][place] = value
            break
    body = [lines[0], *(json.dumps(row).encode() + b"\n" for row in rows)]
    digest = hashlib.sha256(b"".join(body)).hexdigest()
    return b"".join(body) + json.dumps({"rows": len(rows), "sha256": digest}).encode() + b"\n"


DAYS_AHEAD_US = NOW_MS * 1000 + 3 * 86_400_000_000
IMPOSSIBLE = {
    "an event of the day after tomorrow": ("events", "event_id", DAYS_AHEAD_US),
    "a log line of the day after tomorrow": ("logs", "log_id", DAYS_AHEAD_US),
    "a send of the day after tomorrow": ("outbox", "outbox_id", DAYS_AHEAD_US),
    "a cost of the day after tomorrow": ("usage", "usage_id", DAYS_AHEAD_US),
    "an update of the day after tomorrow": ("updates", "arrival", DAYS_AHEAD_US),
    "a number that is a text": ("outbox", "outbox_id", "7"),
    "the largest number there is": ("logs", "log_id", 2**63 - 1),
    "a number beyond 64 bits": ("logs", "at_ms", 2**70),
    "a list": ("logs", "text", ["x"]),
    "a table": ("messages", "content", {"x": 1}),
    "half a character": ("logs", "text", "half \ud83d"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
async def test_an_impossible_value_is_refused_and_nobody_is_locked_out(
    store: Store, path: Path, tmp_path: Path, name: str
) -> None:
    """One error, not a row stored, and every other bot goes on writing."""
    await fill(store, "a")
    await fill(store, "b")
    file = tmp_path / "a.jsonl"
    await store.export_partition("a", file)
    await store.remove_partition("a")
    before = dump(path)
    file.write_bytes(spoiled(file.read_bytes(), *IMPOSSIBLE[name]))
    with pytest.raises(StoreError):
        await store.import_partition(file, now_ms=NOW_MS)
    assert dump(path) == before
    await store.append_logs([("b", 1_000, 20, "l", "still here", "")])
    assert (await store.partition("b").logs.tail())[-1].text == "still here"


async def test_numbers_a_little_ahead_are_taken_and_passed_by(store: Store, path: Path, tmp_path: Path) -> None:
    """Clocks differ: what is within a day comes in, and every later number of every bot is above it."""
    await fill(store, "a")
    file, ahead = tmp_path / "a.jsonl", NOW_MS * 1000 + 3_600_000_000
    await store.export_partition("a", file)
    await store.remove_partition("a")
    file.write_bytes(spoiled(file.read_bytes(), "logs", "log_id", ahead))
    await store.import_partition(file, now_ms=NOW_MS)
    await store.append_logs([("b", NOW_MS, 20, "l", "later", "")])
    assert query(path, "SELECT log_id > ? FROM logs WHERE text = 'later'", ahead) == [(1,)]


async def test_an_import_that_is_no_file_is_not_waited_for(store: Store, tmp_path: Path) -> None:
    """A pipe nobody writes to: refused at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(StoreError):
        await store.import_partition(pipe, now_ms=NOW_MS)


@pytest.mark.parametrize("what", ["database", "log", "link to the database", "pipe", "folder"])
async def test_a_copy_never_replaces_what_must_stay(store: Store, path: Path, tmp_path: Path, what: str) -> None:
    """Told to overwrite or not: refused, and the fleet goes on writing."""
    await fill(store, "a")
    targets = {"database": path, "log": path.with_name(path.name + "-wal"), "folder": tmp_path / "folder"}
    target = targets.get(what, tmp_path / "target")
    if what == "folder":
        target.mkdir()
    elif what == "pipe":
        os.mkfifo(target)
    elif what == "link to the database":
        target.symlink_to(path)
    for make in (
        lambda: store.backup(target, overwrite=True),
        lambda: store.export_partition("a", target, overwrite=True),
    ):
        with pytest.raises(StoreError):
            await make()
    await store.append_logs([("a", 1_000, 20, "l", "still here", "")])
    await eventually(lambda: store.fault is None)
