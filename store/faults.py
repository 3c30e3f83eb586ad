"""What SQLite's refusals mean to a fleet."""

from __future__ import annotations

import resource
import sqlite3
from pathlib import Path
from typing import Final

from store.errors import StoreCorrupt, StoreDoubtful, StoreError, StoreFull, StoreUnavailable

_PRIMARY: Final = 0xFF
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OUTSIDE: Final = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)

FULL_HINT: Final = "free some disk space; the fleet goes on by itself"
OUTSIDE_HINT: Final = "check the file, its folder and its device; the fleet goes on by itself"
DOUBTFUL_HINT: Final = "check the device and the system's log; the file is checked, then the fleet goes on by itself"
LIMIT_HINT: Final = (
    "raise it for the process (prlimit --fsize, LimitFSIZE=); the file is checked, then the fleet goes on by itself"
)
DAMAGED_HINT: Final = (
    "stop the fleet, move the file with its -wal and -shm away, restore a copy made by `botdeck backup`"
)


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 for errors the sqlite3 module raises by itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


def _named(error: sqlite3.Error) -> str:
    """Return what SQLite says with the name of its code, which alone tells a write from a sync."""
    return f"{error} ({getattr(error, 'sqlite_errorname', 'SQLITE_IOERR')})"


def _limit_met(path: Path) -> int:
    """Return the limit on the size of files that the database or its log has filled up; 0 when none has.

    SQLite calls it an I/O error, and does not say which.
    """
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    sizes = map(_size_bytes, (path, path.with_name(f"{path.name}-wal")))
    return limit if limit != resource.RLIM_INFINITY and max(sizes) >= limit else 0


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def fault_of(error: sqlite3.Error, path: Path) -> StoreError | None:
    """Return the StoreError a refusal amounts to; None when it is a mistake in what was asked (a constraint, SQL)."""
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"no room left to write {path}", FULL_HINT)
    if code in _CORRUPT:
        return StoreCorrupt(f"{path} is damaged: {error}", DAMAGED_HINT)
    if code == sqlite3.SQLITE_IOERR:
        if limit := _limit_met(path):
            return StoreDoubtful(f"{path} has met a limit on the size of files, {limit:,} bytes", LIMIT_HINT)
        return StoreDoubtful(f"the device of {path} fails: {_named(error)}", DOUBTFUL_HINT)
    if code in _OUTSIDE:
        return StoreUnavailable(f"cannot use {path}: {error}", OUTSIDE_HINT)
    return None


def fault_in(error: BaseException, path: Path) -> StoreError | None:
    """Return the fault of the file that whatever was raised in a transaction amounts to; None for a job's mistake."""
    if isinstance(error, StoreUnavailable | StoreCorrupt):
        return error
    return fault_of(error, path) if isinstance(error, sqlite3.Error) else None
