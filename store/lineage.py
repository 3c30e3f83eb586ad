"""Which file a log belongs to. SQLite does not ask: it plays whatever lies beside a file under the log's name.

Every database has an identity in its first pages from its first opening on; a copy gets one of its own. A log that
shows another one is of another database, or was left beside a copy put in the place of its file.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from config.vocabulary import FLEET
from store.errors import StoreOpenError
from store.reader import address

RENEW: Final = "UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'identity'"
"""Makes a copy a database of its own."""

_IDENTITY: Final = "SELECT value FROM meta WHERE bot_id = ? AND key = 'identity'"


def give(connection: sqlite3.Connection, now_ms: int) -> None:
    """See that the file has an identity, in the file itself: what only the log holds cannot be told from the log's."""
    if connection.execute(_IDENTITY, (FLEET,)).fetchone() is None:
        sql = "INSERT INTO meta VALUES (?, 'identity', lower(hex(randomblob(16))), ?)"
        connection.execute(sql, (FLEET, now_ms))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def refuse_foreign_log(path: Path) -> None:
    """Raise StoreOpenError when the log beside a database is known to be another's. Blocks; writes nothing."""
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() or not log.exists() or not log.stat().st_size:
        return
    own, shown = _identity(f"{address(path)}&immutable=1"), _identity(address(path))
    if own and shown != own and shown is not None:
        raise StoreOpenError(
            f"the log {log} belongs to another database than {path}",
            f"if {path.name} was put in its place, move {log.name} and {path.name}-shm away",
        )


def _identity(uri: str) -> str | None:
    """Return a file's identity, "" without one, None when it cannot be read."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            row = connection.execute(_IDENTITY, (FLEET,)).fetchone()
    except sqlite3.Error:
        return None  # opening it says why
    return str(row[0]) if row else ""
