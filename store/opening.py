"""Opening the file: the path, the settings of the connection, the format, the mark of an open database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from config.vocabulary import FLEET
from store import backup, migrate
from store.errors import StoreOpenError

WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""What the WAL is cut back to after a checkpoint."""

_HINT_DAMAGED: Final = "restore a copy made by `botdeck backup`, or move the file away to begin anew"


def cannot_open(path: Path, error: Exception) -> StoreOpenError:
    """Return the one clear error for a database that cannot be opened."""
    text = str(error)
    if "not a database" in text or "malformed" in text:
        return StoreOpenError(f"{path} is not a database, or damaged: {text}", _HINT_DAMAGED)
    return StoreOpenError(f"cannot open the database {path}: {text}", "check the path and its permissions")


def connect(path: Path, now_ms: int, durability: str) -> sqlite3.Connection:
    """Open the one read-write connection and migrate. Blocks. Raises StoreOpenError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except (OSError, sqlite3.Error) as error:
        raise cannot_open(path, error) from error
    try:
        _prepare(connection, path, now_ms, durability)
    except sqlite3.Error as error:
        connection.close()
        raise cannot_open(path, error) from error
    except StoreOpenError:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, now_ms: int, durability: str) -> None:
    connection.execute("PRAGMA busy_timeout = 5000")
    version = migrate.check_version(connection, path)
    if 0 < version < migrate.newest():
        backup.copy(path, path.with_name(f"{path.name}.before-{migrate.newest():04}"), overwrite=True)
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreOpenError(
            f"{path} cannot use a write-ahead log", "is it on a network file system? move it to a disk"
        )
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    connection.execute("PRAGMA wal_autocheckpoint = 2000")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA temp_store = MEMORY")
    migrate.migrate(connection, now_ms)


def take_mark(connection: sqlite3.Connection, now_ms: int) -> bool:
    """Mark the database as open; return whether the last process left it so (it was killed)."""
    row = connection.execute("SELECT value FROM meta WHERE bot_id = ? AND key = 'open'", (FLEET,)).fetchone()
    connection.execute(
        "INSERT INTO meta VALUES (?, 'open', 'yes', ?) ON CONFLICT (bot_id, key)"
        " DO UPDATE SET value = excluded.value, updated_ms = excluded.updated_ms",
        (FLEET, now_ms),
    )
    return bool(row and row[0] == "yes")
