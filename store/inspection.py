"""Checking a file its last process did not close: a small one before anything is written to it, a large one beside the fleet."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from config.vocabulary import FLEET
from store.errors import StoreCorrupt, StoreError, StoreOpenError
from store.faults import DAMAGED_HINT
from store.lineage import refuse_foreign_log
from store.opening import find_damage
from store.reader import address

T = TypeVar("T")

FIRST_BYTES: Final = 64 * 1024 * 1024
"""A file up to this size, log included, is checked before it is opened: some 40 ms. A larger one would delay the bots."""


def first_look(path: Path) -> bool:
    """Check a small file that its last process did not close. Blocks; writes nothing.

    Returns whether it was found whole: False for a file that was closed or is large. A file with a log beside it was not
    closed, whatever it says. Raises StoreCorrupt; StoreOpenError when it cannot be looked at.
    """
    if not path.exists():
        return False
    refuse_foreign_log(path)
    if _size_bytes(path) > FIRST_BYTES or not (_log_bytes(path) or _left_open(path)):
        return False
    try:
        found = find_damage(path, thorough=False)
    except StoreError as fault:  # no fleet runs yet: nothing of what its hint says of one goes on
        raise StoreOpenError(fault.message, fault.hint.partition(";")[0]) from fault
    if found:
        raise corrupt(path, found)
    return True


def corrupt(path: Path, found: list[str]) -> StoreCorrupt:
    """Return the error for what a check has found, in one line."""
    return StoreCorrupt(f"{path} is damaged: {found[0].splitlines()[-1]}", DAMAGED_HINT)


def _size_bytes(path: Path) -> int:
    return path.stat().st_size + _log_bytes(path)


def _log_bytes(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    return log.stat().st_size if log.exists() else 0


def _left_open(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(address(path), uri=True)) as connection:
            row = connection.execute("SELECT value FROM meta WHERE bot_id = ? AND key = 'open'", (FLEET,)).fetchone()
    except sqlite3.Error:
        return False  # no database, or one of an older format: opening it says so
    return bool(row and row[0] == "yes")


async def aside(work: Callable[[], T]) -> T:
    """Do something long, which may raise StoreError or OSError, in a thread of its own.

    Cancelling leaves it behind: it keeps no process from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            answer: Any = work()
        except (StoreError, OSError) as error:
            answer = error
        _tell(loop, done, answer)

    threading.Thread(target=run, name="botdeck-check", daemon=True).start()
    return await done


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[Any], answer: Any) -> None:
    def settle() -> None:
        if done.done():
            return
        if isinstance(answer, Exception):
            done.set_exception(answer)
        else:
            done.set_result(answer)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)
