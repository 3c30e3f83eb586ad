"""Conversations of a bot: one row each, keyed by tenant and conversation."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from store.reader import Reader

_GROW: Final = (
    "INSERT INTO conversations"
    " (bot_id, client_id, conversation_id, user_id, channel, last_seq, turns, created_ms, updated_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)"
    " ON CONFLICT (bot_id, client_id, conversation_id) DO UPDATE SET"
    " last_seq = last_seq + excluded.last_seq, turns = turns + 1, updated_ms = excluded.updated_ms RETURNING last_seq"
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation within a bot."""

    client_id: str
    conversation_id: str
    user_id: str
    channel: str
    last_seq: int
    turns: int
    created_ms: int
    updated_ms: int


def grow(
    connection: sqlite3.Connection, key: tuple[str, str, str], user_id: str, channel: str, by: int, now_ms: int
) -> int:
    """Count a turn of `by` messages within a write job; return the seq of the last of them.

    key is (bot_id, client_id, conversation_id).
    """
    row = (*key, user_id, channel, by, now_ms, now_ms)
    return int(connection.execute(_GROW, row).fetchone()[0])


class Conversations:
    """The conversations of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def recent(self, limit: int = 50) -> list[Conversation]:
        """Return conversations, last spoken in first."""
        sql = (
            "SELECT client_id, conversation_id, user_id, channel, last_seq, turns, created_ms, updated_ms"
            " FROM conversations WHERE bot_id = ? ORDER BY updated_ms DESC LIMIT ?"
        )
        return [Conversation(*row) for row in await self._reader.fetch(sql, (self._bot_id, limit))]

    async def count(self) -> int:
        """Return how many conversations there are."""
        return int(
            (await self._reader.fetch("SELECT count(*) FROM conversations WHERE bot_id = ?", (self._bot_id,)))[0][0]
        )
