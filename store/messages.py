"""What was said, in order, per conversation."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from store.conversations import contained
from store.reader import Reader
from store.tails import Tails

_INSERT_PAIR: Final = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?)"
_TAIL: Final = (
    "SELECT seq, role, content, created_ms, update_id FROM messages"
    " WHERE bot_id = ?1 AND client_id = ?2 AND conversation_id = ?3 AND seq > ifnull((SELECT start_seq FROM conversations"
    " WHERE bot_id = ?1 AND client_id = ?2 AND conversation_id = ?3), 0) ORDER BY seq DESC LIMIT ?4"
)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of a conversation; role is user or assistant."""

    seq: int
    role: str
    content: str
    created_ms: int
    update_id: int | None


def append_pair(
    connection: sqlite3.Connection,
    key: tuple[str, str, str],
    pair: tuple[StoredMessage, StoredMessage],
) -> None:
    """Append a question and its answer within a write job; key is (bot_id, client_id, conversation_id)."""
    said, answered = pair
    connection.execute(
        _INSERT_PAIR,
        (
            *key, said.seq, said.role, said.content, said.update_id, said.created_ms,
            *key, answered.seq, answered.role, answered.content, answered.update_id, answered.created_ms,
        ),
    )  # fmt: skip


class Messages:
    """The messages of one bot."""

    __slots__ = ("_bot_id", "_reader", "_tails")

    def __init__(self, bot_id: str, reader: Reader, tails: Tails[StoredMessage]) -> None:
        self._bot_id = bot_id
        self._reader = reader
        self._tails = tails

    async def tail(self, client_id: str, conversation_id: str, limit: int) -> list[StoredMessage]:
        """Return the last messages since the last reset, oldest first. Raises StoreError. Cancelling is safe.

        Costs the same at any length of the conversation and any size of the file; no hop to another thread when
        the conversation was spoken in lately.
        """
        if limit <= 0:
            return []
        key = (self._bot_id, client_id, conversation_id)
        known = self._tails.get(key, limit)
        if known is not None:
            return known
        ticket = self._tails.begin(key)
        try:
            rows = await self._reader.fetch(_TAIL, (*key, limit))
            rows.reverse()
            found = [StoredMessage(*row) for row in rows]
            self._tails.fill(key, ticket, found, limit)
        finally:
            self._tails.abandon(key, ticket)
        return found

    async def between(
        self, client_id: str, conversation_id: str, after_seq: int, upto_seq: int, limit: int
    ) -> list[StoredMessage]:
        """Return the last messages of a range of numbers, oldest first, those before a reset left out; past the cache."""
        sql = _TAIL.replace("ORDER BY", "AND seq > ?5 AND seq <= ?6 ORDER BY")
        key = (self._bot_id, client_id, conversation_id)
        rows = await self._reader.fetch(sql, (*key, limit, after_seq, upto_seq))
        return [StoredMessage(*row) for row in reversed(rows)]

    async def page(
        self, client_id: str, conversation_id: str, limit: int, *, before_seq: int = 0, search: str = ""
    ) -> list[StoredMessage]:
        """Return the last messages before a number (0: of all) that contain a text, oldest first; past the cache."""
        sql = (
            "SELECT seq, role, content, created_ms, update_id FROM messages"
            " WHERE bot_id = ? AND client_id = ? AND conversation_id = ? AND (? = 0 OR seq < ?)"
            " AND content LIKE ? ESCAPE '\\' ORDER BY seq DESC LIMIT ?"
        )
        key = (self._bot_id, client_id, conversation_id)
        rows = await self._reader.fetch(sql, (*key, before_seq, before_seq, contained(search), limit))
        return [StoredMessage(*row) for row in reversed(rows)]
