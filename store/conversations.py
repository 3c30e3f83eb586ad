"""Conversations of a bot: one row each, keyed by tenant and conversation."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from store.reader import Reader

_GROW: Final = (
    "INSERT INTO conversations"
    " (bot_id, client_id, conversation_id, user_id, channel, last_seq, turns, created_ms, updated_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)"
    " ON CONFLICT (bot_id, client_id, conversation_id) DO UPDATE SET"
    " last_seq = last_seq + excluded.last_seq, turns = turns + 1, updated_ms = excluded.updated_ms,"
    " user_id = CASE WHEN turns THEN user_id ELSE excluded.user_id END,"
    " channel = CASE WHEN turns THEN channel ELSE excluded.channel END RETURNING last_seq"
)
_COLUMNS: Final = "client_id, conversation_id, user_id, channel, last_seq, turns, created_ms, updated_ms"
_ORDER: Final = "updated_ms DESC, client_id, conversation_id"
_SAID: Final = (
    "EXISTS (SELECT 1 FROM messages m WHERE m.bot_id = c.bot_id AND m.client_id = c.client_id"
    " AND m.conversation_id = c.conversation_id AND m.content LIKE ? ESCAPE '\\')"
)

Place = tuple[int, str, str]
"""Where a conversation stands among those last spoken in: (updated_ms, client_id, conversation_id)."""


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


def contained(text: str) -> str:
    """Return the pattern of LIKE for texts that contain a text, whatever the case (of ASCII letters)."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


class Conversations:
    """The conversations of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def recent(
        self,
        limit: int = 50,
        *,
        before_ms: int = 0,
        search: str = "",
        client_id: str | None = None,
        behind: Place | None = None,
    ) -> list[Conversation]:
        """Return conversations, last spoken in first: before a moment (0: now), and with a text somewhere in them.

        client_id: of this tenant only. behind: those that come after the one at this place, so that pages neither repeat nor
        miss one that has not been spoken in meanwhile.
        """
        wanted, asked = ["bot_id = ?"], list[Any]([self._bot_id])
        if before_ms:
            wanted.append("updated_ms < ?")
            asked.append(before_ms)
        if client_id is not None:
            wanted.append("client_id = ?")
            asked.append(client_id)
        if behind is not None:
            wanted.append("(updated_ms < ? OR updated_ms = ? AND (client_id, conversation_id) > (?, ?))")
            asked += (behind[0], *behind)
        if search:
            wanted.append(_SAID)
            asked.append(contained(search))
        sql = f"SELECT {_COLUMNS} FROM conversations c WHERE {' AND '.join(wanted)} ORDER BY {_ORDER} LIMIT ?"
        return [Conversation(*row) for row in await self._reader.fetch(sql, (*asked, limit))]

    async def get(self, client_id: str, conversation_id: str) -> Conversation | None:
        """Return one conversation; None when nothing was ever said in it."""
        sql = f"SELECT {_COLUMNS} FROM conversations WHERE bot_id = ? AND client_id = ? AND conversation_id = ?"
        rows = await self._reader.fetch(sql, (self._bot_id, client_id, conversation_id))
        return Conversation(*rows[0]) if rows else None

    async def count(self) -> int:
        """Return how many conversations there are."""
        return int(
            (await self._reader.fetch("SELECT count(*) FROM conversations WHERE bot_id = ?", (self._bot_id,)))[0][0]
        )
