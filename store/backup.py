"""A copy of a live database, verified before it gets its name."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from store import lineage
from store.errors import StoreError
from store.faults import fault_of
from store.reader import address

STEP_PAGES: Final = 1_000
OWN: Final = ("-wal", "-shm", ".lock")
"""What stands behind the names of the files beside a database."""


@contextmanager
def becoming(target: Path, database: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a private file beside target; it takes target's name, synced, when the block ends well.

    Raises StoreError when target exists and is not to be overwritten, is no regular file, is a file of the database
    itself, or cannot be written. Nothing half made stays.
    """
    _refuse(target, database, overwrite=overwrite)
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


def _refuse(target: Path, database: Path, *, overwrite: bool) -> None:
    """Raise StoreError for a target that must not be replaced: a device, a pipe, what the fleet lives on."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot write {target}: {error}", "choose another name") from error
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{target} is no regular file", "choose another name")
    for own in (database, *(database.with_name(database.name + end) for end in OWN)):
        if own.exists() and own.samefile(target):
            raise StoreError(f"{target} belongs to the database itself", "choose another name")
    if not overwrite:
        raise StoreError(f"{target} exists already", "choose another name, or say that it may be overwritten")


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
    with becoming(target, source, overwrite=overwrite) as partial:
        try:
            _copy_verified(source, partial)
        except sqlite3.Error as error:
            raise fault_of(error, target) or StoreError(f"cannot copy {source} to {target}: {error}") from error


def _copy_verified(source: Path, partial: Path) -> None:
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        found = _copy(source, partial, lambda *_: os.fsync(descriptor))
    finally:
        os.close(descriptor)  # last of all: it drops the locks SQLite holds on the file
    if found != "ok":
        raise StoreError(f"the copy of {source} is damaged: {found}", "check the disk; the copy was not kept")


def _copy(source: Path, partial: Path, write_back: Callable[[int, int, int], None]) -> str:
    """Copy and check; return "ok" or what is wrong. write_back is called now and then.

    Written back all at once at the end, the syncs of the fleet would wait behind it.
    """
    with closing(sqlite3.connect(address(source), uri=True)) as live, closing(sqlite3.connect(partial)) as copied:
        # One snapshot for the whole copy: without it every commit of the fleet would start the copy anew.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        live.backup(copied, pages=STEP_PAGES, progress=write_back)
        copied.execute("PRAGMA journal_mode = DELETE")
        # A copy is no file a process left behind.
        copied.execute("UPDATE meta SET value = 'no' WHERE key = 'open'")
        copied.execute(lineage.RENEW)
        copied.commit()
        return str(copied.execute("PRAGMA integrity_check(1)").fetchone()[0])
