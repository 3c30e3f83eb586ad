"""What SQLite's refusals mean to a fleet."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from store.errors import StoreCorrupt, StoreError, StoreFull, StoreUnavailable

_PRIMARY: Final = 0xFF
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OUTSIDE: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
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
DAMAGED_HINT: Final = (
    "stop the fleet, move the file with its -wal and -shm away, restore a copy made by `botdeck backup`"
)


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 for errors the sqlite3 module raises by itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


def fault_of(error: sqlite3.Error, path: Path) -> StoreError | None:
    """Return the StoreError a refusal amounts to; None when it is a mistake in what was asked (a constraint, SQL)."""
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"no room left to write {path}", FULL_HINT)
    if code in _CORRUPT:
        return StoreCorrupt(f"{path} is damaged: {error}", DAMAGED_HINT)
    if code in _OUTSIDE:
        return StoreUnavailable(f"cannot use {path}: {error}", OUTSIDE_HINT)
    return None
