"""Query-only connections: a read never waits for the writer, and cannot write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import aiosqlite

from store.errors import StoreDoubtful, StoreError
from store.faults import fault_of

CONNECTIONS: Final = 2
CACHE_KIB: Final = 4_000
"""Page cache of each connection."""

BUSY_MS: Final = 5_000
"""How long to wait for a lock that another program holds."""


def address(path: Path) -> str:
    """Return the URI that opens a file for reading only: such a connection neither writes nor checkpoints."""
    return f"{path.absolute().as_uri()}?mode=ro"


class Reader:
    """A few aiosqlite connections; each query goes to the one with the least to do, in one thread hop.

    on_fault is told when the file cannot be read for a reason that is not the query's.
    """

    def __init__(self, path: Path, connections: list[aiosqlite.Connection]) -> None:
        self.on_fault: Callable[[StoreError], None] | None = None
        self._path = path
        self._connections = connections
        self._busy = [0] * len(connections)
        self._count = CONNECTIONS
        self._resting = False

    @classmethod
    async def open(cls, path: Path, *, count: int = CONNECTIONS) -> Reader:
        """Open the connections. Raises sqlite3.Error; none stays open then."""
        async with AsyncExitStack() as undo:  # a connection left open would keep the process from ending
            reader = cls(path, [])
            reader._count = count
            undo.push_async_callback(reader.close)
            await reader.resume()
            undo.pop_all()
        return reader

    async def rest(self) -> None:
        """Close the connections for a while; what is asked meanwhile raises StoreDoubtful."""
        self._resting = True
        await self.close()

    async def resume(self) -> None:
        """Open the connections. Raises sqlite3.Error; none is open then."""
        try:
            for _ in range(self._count):
                await self._connect()
        except BaseException:
            await self.close()
            raise
        self._resting = False

    async def _connect(self) -> None:
        connection = await aiosqlite.connect(address(self._path), uri=True, isolation_level=None, cached_statements=64)
        self._connections.append(connection)
        self._busy.append(0)
        await connection.execute("PRAGMA query_only = ON")
        await connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        await connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    async def fetch(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows. Raises StoreError when the file cannot be read, or is closed. Cancelling is safe."""
        if self._resting:
            raise StoreDoubtful(f"{self._path} is being opened anew")
        if not self._connections:
            raise StoreError(f"{self._path} is closed")
        busy = self._busy  # of these connections: they may be closed and others opened meanwhile
        chosen = busy.index(min(busy))
        busy[chosen] += 1
        try:
            rows = await self._connections[chosen].execute_fetchall(sql, parameters)
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            busy[chosen] -= 1
        return rows  # type: ignore[return-value]  # aiosqlite says Iterable, sqlite3 gives a list of tuples

    def _failed(self, error: sqlite3.Error) -> Exception:
        fault = fault_of(error, self._path)
        if fault is not None and self.on_fault is not None:
            self.on_fault(fault)
        return fault or error

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        connections, self._connections, self._busy = self._connections, [], []
        for connection in connections:
            await connection.close()
