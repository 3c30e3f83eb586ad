"""What was said, in order, per conversation."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from store.reader import Reader

_INSERT: Final = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TAIL: Final = (
    "SELECT seq, role, content, created_ms, update_id FROM messages"
    " WHERE bot_id = ? AND client_id = ? AND conversation_id = ? ORDER BY seq DESC LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of a conversation; role is user or assistant."""

    seq: int
    role: str
    content: str
    created_ms: int
    update_id: int | None


def append(
    connection: sqlite3.Connection,
    bot_id: str,
    key: tuple[str, str],
    after_seq: int,
    said: Sequence[tuple[str, str]],
    update_id: int | None,
    now_ms: int,
) -> None:
    """Append (role, content) pairs behind after_seq, within a write job."""
    for seq, (role, content) in enumerate(said, after_seq + 1):
        connection.execute(_INSERT, (bot_id, *key, seq, role, content, update_id, now_ms))


class Messages:
    """The messages of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def tail(self, client_id: str, conversation_id: str, limit: int) -> list[StoredMessage]:
        """Return the last messages, oldest first. Costs the same at any length of the conversation."""
        rows = await self._reader.fetch(_TAIL, (self._bot_id, client_id, conversation_id, limit))
        rows.reverse()
        return [StoredMessage(*row) for row in rows]
