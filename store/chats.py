"""The chats a bot was seen in: what they are called, whether it is still there, where a group moved to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from store.reader import Reader
from store.texts import storable
from store.writer import Writer

STATES: Final = ("member", "left", "blocked")

_COLUMNS: Final = "chat_id, kind, title, state, moved_to, updated_ms"
_PUT: Final = (
    f"INSERT INTO chats (bot_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (bot_id, chat_id) DO UPDATE SET kind = excluded.kind, state = excluded.state,"
    " title = CASE WHEN excluded.title = '' THEN title ELSE excluded.title END,"
    " moved_to = coalesce(excluded.moved_to, moved_to), updated_ms = excluded.updated_ms"
)


@dataclass(frozen=True, slots=True)
class Chat:
    """One chat. kind is the channel's word (private, group, supergroup, channel); state member, left or blocked.

    moved_to is the number a group goes on under.
    """

    chat_id: int
    kind: str
    title: str
    state: str
    moved_to: int | None
    updated_ms: int


class Chats:
    """The chats of one bot. Every write raises StoreError when the file refuses."""

    __slots__ = ("_bot_id", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader

    async def get(self, chat_id: int) -> Chat | None:
        """Return a chat, None when it was never noted."""
        sql = f"SELECT {_COLUMNS} FROM chats WHERE bot_id = ? AND chat_id = ?"
        rows = await self._reader.fetch(sql, (self._bot_id, chat_id))
        return Chat(*rows[0]) if rows else None

    async def all(self, limit: int | None = None) -> list[Chat]:
        """Return the chats, last changed first."""
        sql = f"SELECT {_COLUMNS} FROM chats WHERE bot_id = ? ORDER BY updated_ms DESC, chat_id LIMIT ?"
        return [Chat(*row) for row in await self._reader.fetch(sql, (self._bot_id, -1 if limit is None else limit))]

    async def put(
        self, chat_id: int, kind: str, title: str, state: str, now_ms: int, *, moved_to: int | None = None
    ) -> None:
        """Note a chat as it is now; an empty title and no moved_to leave what is known.

        Raises ValueError for a state that is none.
        """
        if state not in STATES:
            raise ValueError(f"{state!r} is not one of {', '.join(STATES)}")
        row = (self._bot_id, chat_id, kind, storable(title), state, moved_to, now_ms)
        await self._writer.write(lambda connection: connection.execute(_PUT, row).rowcount)
