"""Short notes a bot keeps for itself: what it has done once and need not do again."""

from __future__ import annotations

from typing import Final

from store.reader import Reader
from store.texts import storable
from store.writer import Writer

COMMANDS: Final = "commands"
"""What the server was told of the bot's commands."""

_PUT: Final = (
    "INSERT INTO meta (bot_id, key, value, updated_ms) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (bot_id, key) DO UPDATE SET value = excluded.value, updated_ms = excluded.updated_ms"
)


class Marks:
    """The notes of one bot, by name."""

    __slots__ = ("_bot_id", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader

    async def get(self, name: str) -> str:
        """Return a note, "" when there is none. Raises StoreError."""
        rows = await self._reader.fetch("SELECT value FROM meta WHERE bot_id = ? AND key = ?", (self._bot_id, name))
        return str(rows[0][0]) if rows else ""

    async def put(self, name: str, value: str, now_ms: int) -> None:
        """Write a note over the one there is. Raises StoreError."""
        row = (self._bot_id, name, storable(value), now_ms)
        await self._writer.write(lambda connection: connection.execute(_PUT, row).rowcount)
