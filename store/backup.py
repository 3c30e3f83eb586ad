"""A copy of a live database, verified before it gets its name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from store.errors import StoreError
from store.faults import fault_of


def copy(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Copy source to target while it may be in use. Blocks.

    The copy is made beside target, checked, and renamed into place. Raises StoreError; no half copy stays.
    """
    if target.exists() and not overwrite:
        raise StoreError(f"{target} exists already", "choose another name")
    partial = target.with_name(target.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        _copy_verified(source, partial)
        partial.replace(target)
    except OSError as error:
        raise StoreError(f"cannot write the copy {target}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise fault_of(error, target) or StoreError(f"cannot copy {source} to {target}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy_verified(source: Path, partial: Path) -> None:
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(partial)) as copied:
        live.execute("PRAGMA query_only = ON")
        live.backup(copied, pages=1000)
        copied.execute("PRAGMA journal_mode = DELETE")
        found = copied.execute("PRAGMA integrity_check(10)").fetchall()
    if found != [("ok",)]:
        raise StoreError(f"the copy of {source} is damaged: {found[0][0]}", "check the disk; the copy was not kept")
