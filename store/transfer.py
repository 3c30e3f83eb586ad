"""One bot's rows, whole: written to a portable file, read back, removed.

The portable file is JSON lines: a header, one line per row, a footer with the count and a checksum over all before
it. It holds conversations in clear text, so it is private (mode 0600), and it is read and written in a stream:
its size is not bounded by memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from config.vocabulary import BOT_ID_PATTERN, is_bot_id
from store import migrate
from store.backup import becoming
from store.errors import StoreError
from store.faults import fault_of
from store.ids import FOR_EVER_MS, Ids
from store.reader import address
from store.texts import storable

FORMAT: Final = "botdeck-export"

BATCH: Final = 500
"""Rows inserted or deleted in one write job: bounds how long turns of other bots wait for it."""

MAX_LINE_BYTES: Final = 256 * 1024 * 1024
"""Of one row in a portable file: an update may be 64 MB, and each of its characters several."""
AHEAD_US: Final = 86_400_000_000
"""How far beyond now a row's number in a portable file may lie: a day, as clocks differ. All numbers given later, of every
bot, are above it, and count as the time of their rows: none of them would go out of date before that moment."""

UNFINISHED: Final = ("importing", "removing")
"""Keys in meta that mark a partition whose import or removal has not ended; such a partition is removed."""

_UNFINISHED_ROW: Final = f"bot_id = ? AND key IN {UNFINISHED}"
_NUMBERS: Final = {
    "events": "event_id", "logs": "log_id", "outbox": "outbox_id", "updates": "arrival", "usage": "usage_id"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exported:
    """A portable file that was read through once and found whole. columns: table → names without bot_id."""

    source: Path
    bot_id: str
    version: int
    columns: dict[str, list[str]]
    rows: int


def tables(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all tables; every one of them is keyed by bot_id."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return [str(name) for (name,) in rows]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "bot_id"]


# --- export ----------------------------------------------------------------------------------------------------


def export(database: Path, bot_id: str, target: Path, *, overwrite: bool = False) -> int:
    """Write one bot's rows, as of one moment, to target; return how many. Blocks. Raises StoreError."""
    digest, count = hashlib.sha256(), -1
    with becoming(target, database, overwrite=overwrite) as partial:
        try:
            with closing(sqlite3.connect(address(database), uri=True)) as connection, partial.open("wb") as file:
                connection.execute("BEGIN")
                for line in _lines(connection, bot_id):
                    data = json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
                    digest.update(data)
                    file.write(data)
                    count += 1
                file.write(json.dumps({"rows": count, "sha256": digest.hexdigest()}).encode() + b"\n")
        except sqlite3.Error as error:
            raise fault_of(error, database) or StoreError(f"cannot export {bot_id}: {error}") from error
    return count


def _lines(connection: sqlite3.Connection, bot_id: str) -> Iterator[dict[str, Any]]:
    names = {table: _columns(connection, table) for table in tables(connection)}
    yield {"format": FORMAT, "version": migrate.version_of(connection), "bot_id": bot_id, "columns": names}
    for table, columns in names.items():
        for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE bot_id = ?", (bot_id,)):
            yield {"table": table, "row": row}


# --- import ----------------------------------------------------------------------------------------------------


def examine(source: Path, bot_id: str | None = None) -> Exported:
    """Read a portable file through. Blocks. Raises StoreError when it is none, damaged, cut short or too new."""
    header: dict[str, Any] = {}
    digest, count, last = hashlib.sha256(), -1, b""
    try:
        with _opened(source) as file:
            for line in _whole_lines(file, source):
                if last:
                    digest.update(last)
                    count += 1
                    header = header or _table(last)
                last = line
        footer = _table(last)
    except OSError as error:
        raise StoreError(f"cannot read {source}: {error.strerror}", "check the path") from error
    except ValueError as error:
        raise StoreError(f"{source} is not an export of botdeck, or cut short") from error
    if header.get("format") != FORMAT:
        raise StoreError(f"{source} is not an export of botdeck")
    if (footer.get("sha256"), footer.get("rows")) != (digest.hexdigest(), count):
        raise StoreError(f"{source} is damaged or cut short: its checksum does not fit", "export the bot again")
    return _exported(source, header, count, bot_id)


def _opened(source: Path) -> IO[bytes]:
    """Open a regular file; a pipe without a writer would be waited for, for ever."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(f"{source} is no regular file", "check the path")
    return os.fdopen(descriptor, "rb")


def _whole_lines(file: IO[bytes], source: Path) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise StoreError(f"{source} is not an export of botdeck: a line of it does not end")
        yield line


def _table(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no table")  # noqa: TRY004 (a file that is something else, not a mistake in our code)
    return found


def _exported(source: Path, header: dict[str, Any], rows: int, bot_id: str | None) -> Exported:
    version, columns, name = header.get("version"), header.get("columns"), bot_id or header.get("bot_id")
    if not (isinstance(version, int) and isinstance(columns, dict) and isinstance(name, str)):
        raise StoreError(f"{source} is not an export of botdeck")
    if not all(_are_names(names) for names in columns.values()):
        raise StoreError(f"{source} is not an export of botdeck")
    if version > migrate.newest():
        raise StoreError(
            f"{source} was written by a newer botdeck (format {version}, this one knows {migrate.newest()})",
            "install the newer botdeck",
        )
    if not is_bot_id(name):
        raise StoreError(f"{name!r} is no bot_id", f"it must match {BOT_ID_PATTERN}")
    return Exported(source, name, version, columns, rows)


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(n, str) for n in names) and len(set(names)) == len(names)


def batches(exported: Exported) -> Iterator[list[tuple[str, list[Any]]]]:
    """Give the rows of a file found whole as (table, row without bot_id), BATCH at a time. Blocks.

    Raises StoreError for a line that is no row of the tables the header names.
    """
    batch: list[tuple[str, list[Any]]] = []
    with _opened(exported.source) as file:
        file.readline()
        for number, data in enumerate(file):
            if number == exported.rows:
                break
            try:
                line = _table(data)
                batch.append((line["table"], [*line["row"]]))
            except (ValueError, KeyError, TypeError) as error:
                where = f"line {number + 2} of {exported.source}"
                raise StoreError(f"{where} is no row of a bot", "export the bot again") from error
            if len(batch) == BATCH:
                yield batch
                batch = []
    yield batch


def begin_import(connection: sqlite3.Connection, exported: Exported, now_ms: int) -> None:
    """Mark the partition as being filled, within a write job. Raises StoreError unless it is empty and fits."""
    known = {table: set(_columns(connection, table)) for table in tables(connection)}
    if any(has_rows(connection, table, exported.bot_id) for table in known):
        raise StoreError(
            f"{exported.bot_id} has rows already", "remove the bot first, or import it under another name with --as"
        )
    for table, columns in exported.columns.items():
        if table not in known or not set(columns) <= known[table]:
            raise StoreError(f"{exported.source} has columns of {table} that this botdeck does not know")
    connection.execute("INSERT INTO meta VALUES (?, 'importing', ?, ?)", (exported.bot_id, "", now_ms))


def insert(
    connection: sqlite3.Connection, ids: Ids, exported: Exported, batch: list[tuple[str, list[Any]]], now_ms: int
) -> None:
    """Insert some rows within a write job. Raises StoreError for one that no botdeck has written, or not yet."""
    highest = max(now_ms * 1000, ids.last) + AHEAD_US
    for table, row in batch:
        columns = exported.columns.get(table) if isinstance(table, str) else None
        if columns is None or len(row) != len(columns) or not all(map(_is_value, row)):
            raise StoreError(f"{exported.source} holds a row that fits no table: {table}", "export the bot again")
        marks = ", ?" * len(columns)
        connection.execute(
            f"INSERT INTO {table} (bot_id, {', '.join(columns)}) VALUES (?{marks})", (exported.bot_id, *row)
        )
        if table in _NUMBERS:
            number = dict(zip(columns, row, strict=True)).get(_NUMBERS[table])
            ids.pass_by(_number(exported, number, min(highest, FOR_EVER_MS * 1000)))


def _is_value(value: Any) -> bool:
    """Tell whether the database can hold a value as it is: nothing nested, no larger number, no half character."""
    if isinstance(value, str):
        return value == storable(value)
    return value is None or isinstance(value, float) or (isinstance(value, int) and -(2**63) <= value < 2**63)


def _number(exported: Exported, number: Any, highest: int) -> int:
    """Return a row's number. One far ahead would put the rows of everybody else there too."""
    if type(number) is not int:
        raise StoreError(f"{exported.source} holds a row without a number: {number!r:.30}", "export the bot again")
    if number > highest:
        raise StoreError(
            f"{exported.source} holds rows from the future: {number}, more than a day ahead of now",
            "set the clock of this machine, or wait until that time has come",
        )
    return number


def end_import(connection: sqlite3.Connection, bot_id: str) -> None:
    """Make an import count, within a write job."""
    connection.execute(f"DELETE FROM meta WHERE {_UNFINISHED_ROW}", (bot_id,))


# --- removal ---------------------------------------------------------------------------------------------------


def has_rows(connection: sqlite3.Connection, table: str, bot_id: str) -> bool:
    """Tell whether a table holds rows of a bot."""
    return connection.execute(f"SELECT 1 FROM {table} WHERE bot_id = ? LIMIT 1", (bot_id,)).fetchone() is not None


def begin_removal(connection: sqlite3.Connection, bot_id: str, now_ms: int) -> None:
    """Mark a partition for removal within a write job: should the process end, the next one goes on."""
    connection.execute("INSERT OR IGNORE INTO meta VALUES (?, 'removing', '', ?)", (bot_id, now_ms))


def remove_some(connection: sqlite3.Connection, bot_id: str) -> int:
    """Delete at most BATCH rows of a bot within a write job, its mark last; return how many, 0 when none is left."""
    for table in [t for t in tables(connection) if t != "meta"]:
        keys = ", ".join(
            str(row[1])
            for row in connection.execute(f"PRAGMA table_info({table})")
            if row[5] and row[1] != "bot_id"
        ) or "bot_id"  # fmt: skip
        some = f"SELECT {keys} FROM {table} WHERE bot_id = ?1 LIMIT {BATCH}"
        sql = f"DELETE FROM {table} WHERE bot_id = ?1 AND ({keys}) IN ({some})"
        deleted = connection.execute(sql, (bot_id,)).rowcount
        if deleted:
            return deleted
    return connection.execute("DELETE FROM meta WHERE bot_id = ?", (bot_id,)).rowcount


def unfinished(connection: sqlite3.Connection) -> list[str]:
    """Return the bots whose import or removal was cut off."""
    rows = connection.execute(f"SELECT DISTINCT bot_id FROM meta WHERE key IN {UNFINISHED}")
    return [str(bot_id) for (bot_id,) in rows]
