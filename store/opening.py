"""Opening the file: the path, the settings of the connection, the format, the mark of an open database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.vocabulary import FLEET
from store import backup, ids, lineage, migrate
from store.errors import StoreCorrupt, StoreDoubtful, StoreError, StoreOpenError
from store.faults import DAMAGED_HINT, FULL_HINT, code_of, fault_of
from store.ids import Ids
from store.reader import BUSY_MS, address
from store.suitable import is_ours_to_change, refuse_special

PAGE_BYTES: Final = 8192
"""Real answers have 1-2 KB; rows above a quarter of a page leave the clustered tree. Figures: docs/store.md."""

WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""What the WAL is cut back to after a checkpoint."""

CACHE_KIB: Final = 8_000
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
    if code == sqlite3.SQLITE_CANTOPEN and (unreadable := lineage.other_format(path)):
        return unreadable
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
    refuse_special(path)
    lineage.refuse_foreign_log(path)
    try:
        _make_folders(path.parent)
        forget_memory(_log_of(path))
        _make_private(path)
        connection = _connect(path)
    except (OSError, sqlite3.Error) as error:
        raise cannot_open(path, error) from error
    try:
        _prepare(connection, path, now_ms, durability, backup_first=backup_first)
        opened = Opened(connection, Ids(ids.highest(connection)), _take_mark(connection, now_ms))
        backup.sync_folder(path.parent)
    except (OSError, sqlite3.Error) as error:
        connection.close()
        raise cannot_open(path, error) from error
    except StoreError:
        connection.close()
        raise
    return opened


def _make_private(path: Path) -> None:
    """Let nobody else read the database, from its first byte on: SQLite makes its files beside it with the same mode."""
    if not path.exists():
        path.touch(mode=0o600)
    if not is_ours_to_change(path):
        return  # opening it will say so
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        if file.exists():
            file.chmod(0o600)


def _make_folders(folder: Path) -> None:
    """Make a folder with those above it; their names survive a power cut too."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        backup.sync_folder(made.parent)


def _prepare(connection: sqlite3.Connection, path: Path, now_ms: int, durability: str, *, backup_first: bool) -> None:
    version = migrate.check_version(connection, path)
    if backup_first and 0 < version < migrate.newest():
        backup.copy(path, path.with_name(f"{path.name}.before-{migrate.newest():04}"), overwrite=True)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # counts for a new file only
    _configure(connection, path, durability)
    migrate.migrate(connection, now_ms)
    lineage.give(connection, now_ms)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return connection


def _configure(connection: sqlite3.Connection, path: Path, durability: str) -> None:
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreOpenError(
            f"{path} cannot use a write-ahead log", "is it on a network file system? move it to a disk"
        )
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    # The writer checkpoints: a commit that did would keep a failure of it to itself.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA foreign_keys = OFF")
    # No mmap: a file cut short under a mapping kills the process (SIGBUS) where a read returns an error.
    connection.execute("PRAGMA mmap_size = 0")


def reopen(old: sqlite3.Connection, path: Path, durability: str) -> sqlite3.Connection:
    """Replace a connection whose device failed by one that sees the file as the device has it, found whole.

    After a failed sync the system counts pages as written that are not, and a later sync says nothing of them. So the
    log is read again from the device, all of it is copied into the file anew, and the file is checked. No other
    connection may be open. Blocks. Raises sqlite3.Error, OSError, StoreError; the old connection may be closed then.
    """
    leave(old, path)
    for name in (path, _log_of(path)):
        forget_memory(name)
    connection = _connect(path)
    try:
        _configure(connection, path, durability)
        if found := _damage(connection, thorough=False):
            raise StoreCorrupt(f"{path} is damaged: {found[0]}", DAMAGED_HINT)
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise StoreDoubtful(f"{path} is open in another program", "end it; the fleet goes on by itself")
    except BaseException:
        leave(connection, path)
        raise
    return connection


def leave(connection: sqlite3.Connection, path: Path) -> None:
    """Close a connection, the log staying as it is: the last one that may write would copy and delete it."""
    with closing(sqlite3.connect(address(path), uri=True)) as guard:
        guard.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        connection.close()


def forget_memory(path: Path) -> None:
    """Let the system read a file from its device again, which after a failed sync may hold less than its memory.

    To be called while this process has no connection to it: closing a file drops the locks SQLite holds on it.
    """
    if not path.exists() or not hasattr(os, "posix_fadvise"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


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
    """Return what is wrong with the file as committed, at most ten findings, [] when it is whole. Blocks.

    Raises StoreError when it cannot be looked at, which is no damage.
    """
    try:
        with closing(sqlite3.connect(address(path), uri=True)) as connection:
            return _damage(connection, thorough=thorough)
    except sqlite3.Error as error:
        fault = fault_of(error, path)
        if fault is None or isinstance(fault, StoreCorrupt):
            return [str(error)]
        raise fault from error


def _damage(connection: sqlite3.Connection, *, thorough: bool) -> list[str]:
    rows = connection.execute(f"PRAGMA {'integrity' if thorough else 'quick'}_check(10)").fetchall()
    return [] if rows == [("ok",)] else [str(text) for (text,) in rows]
