"""Which file a log belongs to, and who wrote it. SQLite plays whatever lies beside a file under the log's name.

Every database has an identity in its first pages from its first opening on; a copy gets one of its own. A log that
shows another one is of another database, or was left beside a copy put in the place of its file. A log in a format of
another version SQLite does refuse, as a file that cannot be opened.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Final

from config.vocabulary import FLEET
from store.errors import StoreOpenError
from store.reader import address

RENEW: Final = "UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'identity'"
"""Makes a copy a database of its own."""

_LOG_FORMAT: Final = 3_007_000
_LOG_HEADER_BYTES: Final = 32
_LOG_MAGIC: Final = 0x377F0682
"""The lowest bit tells in which order its checksums take the bytes of a word."""

_IDENTITY: Final = "SELECT value FROM meta WHERE bot_id = ? AND key = 'identity'"


def give(connection: sqlite3.Connection, now_ms: int) -> None:
    """See that the file has an identity, in the file itself: what only the log holds cannot be told from the log's."""
    if connection.execute(_IDENTITY, (FLEET,)).fetchone() is None:
        sql = "INSERT INTO meta VALUES (?, 'identity', lower(hex(randomblob(16))), ?)"
        connection.execute(sql, (FLEET, now_ms))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def refuse_foreign_log(path: Path) -> None:
    """Raise StoreOpenError when the log beside a database is known to be another's, or of a format not known here.

    Blocks; writes nothing.
    """
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() or not log.exists() or not log.stat().st_size:
        return
    if unreadable := other_format(path):
        raise unreadable
    own, shown = _identity(f"{address(path)}&immutable=1"), _identity(address(path))
    if own and shown != own and shown is not None:
        raise StoreOpenError(
            f"the log {log} belongs to another database than {path}",
            f"if {path.name} was put in its place, move {log.name} and {path.name}-shm away",
        )


def other_format(path: Path) -> StoreOpenError | None:
    """Return the error for a log that another version of SQLite wrote beside a database; None for any other log, or none."""
    log = path.with_name(f"{path.name}-wal")
    found = _format_of(log)
    if found in {None, _LOG_FORMAT}:
        return None
    return StoreOpenError(
        f"the log {log} was written by another version of SQLite (its format is {found}, this one reads {_LOG_FORMAT})",
        f"open {path.name} once with that version, so that it copies the log into the file:"
        f' sqlite3 {path.name} "PRAGMA wal_checkpoint(TRUNCATE)"; nothing was changed',
    )


def _format_of(log: Path) -> int | None:
    """Return the format a log says it has; None for what cannot be read or is no log: SQLite plays nothing of that."""
    try:
        with log.open("rb") as file:
            header = file.read(_LOG_HEADER_BYTES)
    except OSError:
        return None  # opening it says why
    if len(header) < _LOG_HEADER_BYTES:
        return None
    magic, version, *_, first, second = struct.unpack(">8I", header)
    is_log = magic & ~1 == _LOG_MAGIC and _checksum(header[:24], ">" if magic & 1 else "<") == (first, second)
    return int(version) if is_log else None


def _checksum(data: bytes, order: str) -> tuple[int, int]:
    """Return the two running sums of SQLite's logs over words in an order of bytes."""
    first = second = 0
    for one, other in struct.iter_unpack(f"{order}2I", data):
        first = first + one + second & 0xFFFFFFFF
        second = second + other + first & 0xFFFFFFFF
    return first, second


def _identity(uri: str) -> str | None:
    """Return a file's identity, "" without one, None when it cannot be read."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            row = connection.execute(_IDENTITY, (FLEET,)).fetchone()
    except sqlite3.Error:
        return None  # opening it says why
    return str(row[0]) if row else ""
