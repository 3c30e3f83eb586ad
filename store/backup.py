"""A copy of a live database, verified before it gets its name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from store.errors import StoreError
from store.faults import fault_of
from store.reader import address

STEP_PAGES: Final = 1_000


@contextmanager
def becoming(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a private file beside target; it takes target's name, synced, when the block ends well.

    Raises StoreError when target exists and is not to be overwritten, or when it cannot be written. Nothing half
    made stays.
    """
    if target.exists() and not overwrite:
        raise StoreError(f"{target} exists already", "choose another name, or say that it may be overwritten")
    partial = target.with_name(target.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}", "check the folder and the room on it") from error
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a new or renamed file's name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Copy source to target while it may be in use. Blocks; writers of source go on meanwhile.

    The copy is made beside target, checked, and renamed into place. Raises StoreError; no half copy stays.
    """
    with becoming(target, overwrite=overwrite) as partial:
        try:
            _copy_verified(source, partial)
        except sqlite3.Error as error:
            raise fault_of(error, target) or StoreError(f"cannot copy {source} to {target}: {error}") from error


def _copy_verified(source: Path, partial: Path) -> None:
    with closing(sqlite3.connect(address(source), uri=True)) as live, closing(sqlite3.connect(partial)) as copied:
        # One snapshot for the whole copy: without it every commit of the fleet would start the copy anew.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        live.backup(copied, pages=STEP_PAGES)
        copied.execute("PRAGMA journal_mode = DELETE")
        # A copy is no file a process left behind.
        copied.execute("UPDATE meta SET value = 'no' WHERE key = 'open'")
        copied.commit()
        found = copied.execute("PRAGMA integrity_check(10)").fetchall()
    if found != [("ok",)]:
        raise StoreError(f"the copy of {source} is damaged: {found[0][0]}", "check the disk; the copy was not kept")
