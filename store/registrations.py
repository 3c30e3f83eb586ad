"""Versions of a bot's registered configuration, for programs that register bots beside the folder's."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from store.reader import Reader
from store.writer import Writer


@dataclass(frozen=True, slots=True)
class Registration:
    """One version; config and metadata are JSON objects."""

    version: int
    status: str
    config: str
    metadata: str
    created_ms: int


class Registrations:
    """The registrations of one bot, newest version last."""

    __slots__ = ("_bot_id", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader

    async def add(self, config: str, now_ms: int, *, status: str = "active", metadata: str = "{}") -> int:
        """Append a version; return its number, counted from 1."""

        def job(connection: sqlite3.Connection) -> int:
            sql = "SELECT coalesce(max(version), 0) + 1 FROM registrations WHERE bot_id = ?"
            version = int(connection.execute(sql, (self._bot_id,)).fetchone()[0])
            row = (self._bot_id, version, status, config, metadata, now_ms)
            connection.execute("INSERT INTO registrations VALUES (?, ?, ?, ?, ?, ?)", row)
            return version

        return await self._writer.write(job)

    async def history(self) -> list[Registration]:
        """Return every version, oldest first."""
        sql = (
            "SELECT version, status, config, metadata, created_ms FROM registrations WHERE bot_id = ? ORDER BY version"
        )
        return [Registration(*row) for row in await self._reader.fetch(sql, (self._bot_id,))]
