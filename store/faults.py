"""What SQLite's refusals mean to a fleet."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from store.errors import StoreCorrupt, StoreError, StoreFull, StoreUnavailable

_PRIMARY = 0xFF
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_OUTSIDE = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
}


def fault_of(error: sqlite3.Error, path: Path) -> StoreError | None:
    """Return the StoreError a refusal amounts to; None when it is a mistake in what was asked (a constraint, SQL)."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"no room left to write {path}", "free some disk space; the fleet goes on by itself")
    if code in _CORRUPT:
        return StoreCorrupt(f"{path} is damaged: {error}", "stop the fleet and restore a copy made by `botdeck backup`")
    if code in _OUTSIDE:
        return StoreUnavailable(f"cannot write {path}: {error}", "check the file, its folder and its device")
    return None
