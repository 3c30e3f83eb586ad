"""Opening the file: the path, the settings of the connection, the format, the mark of an open database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.vocabulary import FLEET
from store import backup, ids, migrate
from store.errors import StoreError, StoreOpenError
from store.faults import DAMAGED_HINT, FULL_HINT, code_of
from store.ids import Ids
from store.reader import BUSY_MS, address

PAGE_BYTES: Final = 8192
"""Real answers have 1-2 KB; rows above a quarter of a page leave the clustered tree. Figures: docs/store.md."""

WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""What the WAL is cut back to after a checkpoint."""

WAL_PAGES: Final = 4_000
"""A commit copies the log into the file when it has grown this long and no quiet moment came before (32 MiB)."""

CACHE_KIB: Final = 16_000
"""Page cache of the writer."""

MARK: Final = (
    "INSERT INTO meta VALUES (?, 'open', ?, ?) ON CONFLICT (bot_id, key)"
    " DO UPDATE SET value = excluded.value, updated_ms = excluded.updated_ms"
)
"""Takes (FLEET, 'yes' or 'no', now_ms)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The read-write connection, the counter of ids, and whether the last process left without closing."""

    connection: sqlite3.Connection
    ids: Ids
    unclean: bool


def cannot_open(path: Path, error: Exception) -> StoreOpenError:
    """Return the one clear error for a database that cannot be opened."""
    if isinstance(error, OSError):
        return StoreOpenError(
            f"cannot open the database {path}: {error.strerror}", "check the path and its permissions"
        )
    code = code_of(error) if isinstance(error, sqlite3.Error) else 0
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreOpenError(f"{path} is not a database, or damaged: {error}", DAMAGED_HINT)
    if code == sqlite3.SQLITE_FULL:
        return StoreOpenError(f"no room left to open the database {path}", FULL_HINT.split(";", maxsplit=1)[0])
    if code == sqlite3.SQLITE_READONLY:
        return StoreOpenError(
            f"the database {path} cannot be written: {error}", "make the file and its folder writable"
        )
    return StoreOpenError(
        f"cannot open the database {path}: {error}",
        "check the path, its permissions, and that no file of another program lies beside it as -wal or -shm",
    )


def open_for_writing(path: Path, now_ms: int, durability: str, *, backup_first: bool = True) -> Opened:
    """Open the one read-write connection, migrate, mark the file as open. Blocks. Raises StoreOpenError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except (OSError, sqlite3.Error) as error:
        raise cannot_open(path, error) from error
    try:
        _prepare(connection, path, now_ms, durability, backup_first=backup_first)
        opened = Opened(connection, Ids(ids.highest(connection)), _take_mark(connection, now_ms))
        path.chmod(0o600)
        backup.sync_folder(path.parent)
    except (OSError, sqlite3.Error) as error:
        connection.close()
        raise cannot_open(path, error) from error
    except StoreError:
        connection.close()
        raise
    return opened


def _prepare(connection: sqlite3.Connection, path: Path, now_ms: int, durability: str, *, backup_first: bool) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    version = migrate.check_version(connection, path)
    if backup_first and 0 < version < migrate.newest():
        backup.copy(path, path.with_name(f"{path.name}.before-{migrate.newest():04}"), overwrite=True)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # counts for a new file only
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreOpenError(
            f"{path} cannot use a write-ahead log", "is it on a network file system? move it to a disk"
        )
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA foreign_keys = OFF")
    # No mmap: a file cut short under a mapping kills the process (SIGBUS) where a read returns an error.
    connection.execute("PRAGMA mmap_size = 0")
    migrate.migrate(connection, now_ms)


def _take_mark(connection: sqlite3.Connection, now_ms: int) -> bool:
    """Mark the database as open; return whether the last process left it so (it was killed)."""
    row = connection.execute("SELECT value FROM meta WHERE bot_id = ? AND key = 'open'", (FLEET,)).fetchone()
    connection.execute(MARK, (FLEET, "yes", now_ms))
    return bool(row and row[0] == "yes")


def check_readable(path: Path) -> None:
    """Raise StoreOpenError unless the file can be read by this version as it is. Blocks; writes nothing."""
    if not path.exists():
        raise StoreOpenError(f"there is no database at {path}", "start the fleet once: botdeck run")
    if not os.access(path, os.R_OK):
        raise StoreOpenError(f"the database {path} may not be read", "check its permissions")
    try:
        with closing(sqlite3.connect(address(path), uri=True)) as connection:
            version = migrate.check_version(connection, path)
    except sqlite3.Error as error:
        raise cannot_open(path, error) from error
    if version < migrate.newest():
        raise StoreOpenError(
            f"{path} was written by an older botdeck (format {version}, this one reads {migrate.newest()})",
            "start the fleet once to bring it up to date: botdeck run",
        )


def find_damage(path: Path, *, thorough: bool) -> list[str]:
    """Return what is wrong with the file as committed, at most ten findings, [] when it is whole. Blocks."""
    try:
        with closing(sqlite3.connect(address(path), uri=True)) as connection:
            rows = connection.execute(f"PRAGMA {'integrity' if thorough else 'quick'}_check(10)").fetchall()
    except sqlite3.Error as error:
        return [str(error)]
    return [] if rows == [("ok",)] else [str(text) for (text,) in rows]
