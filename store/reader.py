"""Query-only connections: a read never waits for the writer, and cannot write."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiosqlite

from store.errors import StoreUnavailable
from store.faults import fault_of


class Reader:
    """A few aiosqlite connections; each query goes to the one with the least to do, in one thread hop."""

    def __init__(self, path: Path, connections: list[aiosqlite.Connection]) -> None:
        self._path = path
        self._connections = connections
        self._busy = [0] * len(connections)

    @classmethod
    async def open(cls, path: Path, *, count: int = 2) -> Reader:
        """Open the connections. Raises sqlite3.Error."""
        connections = []
        for _ in range(count):
            connection = await aiosqlite.connect(path, isolation_level=None, cached_statements=64)
            await connection.execute("PRAGMA query_only = ON")
            await connection.execute("PRAGMA cache_size = -4000")
            connections.append(connection)
        return cls(path, connections)

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows. Raises StoreError when the file cannot be read. Cancelling is safe."""
        if not self._connections:
            raise StoreUnavailable(f"{self._path} is closed")
        chosen = self._busy.index(min(self._busy))
        self._busy[chosen] += 1
        try:
            rows = await self._connections[chosen].execute_fetchall(sql, parameters)
        except sqlite3.Error as error:
            raise fault_of(error, self._path) or error from error
        finally:
            self._busy[chosen] -= 1
        return list(rows)  # type: ignore[arg-type]

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        connections, self._connections = self._connections, []
        for connection in connections:
            await connection.close()
