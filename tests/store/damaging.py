"""A database as a kill leaves it, and one a device has damaged."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from store.database import Store
from tests.store.filling import converse
from workers.clock import SystemClock

PAGE = 8192


async def leave_as_killed(path: Path, left: Path) -> None:
    """Make a database at path with some conversations; copy it to left, marked as open and with its log."""
    now_ms = int(SystemClock().now() * 1000)  # of today, or the fleet's retention would meet the damage first
    async with await Store.open(path, now_ms=now_ms) as store:
        for number in range(60):
            await converse(store, "a", number, now_ms, answer="x" * 1000)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{left}{suffix}")


def damage(path: Path) -> None:
    """Overwrite the cells of one leaf of `messages`, as a device does that loses a write; its first read sees nothing."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE + 3)
        cells = int.from_bytes(file.read(2), "big")
        file.seek((root - 1) * PAGE + 12 + cells // 2 * 2)
        leaf = int.from_bytes(file.read(2), "big") + (root - 1) * PAGE
        file.seek(leaf)
        child = int.from_bytes(file.read(4), "big")
        file.seek((child - 1) * PAGE + PAGE // 2)
        file.write(b"\xff" * (PAGE // 2))
