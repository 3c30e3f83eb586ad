"""What conversations began with, condensed: one text a conversation, and the number of the last message in it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from store import usage
from store.known import Known
from store.messages import StoredMessage
from store.reader import Reader
from store.texts import storable
from store.usage import Tokens
from store.writer import Writer

_WHICH: Final = "bot_id = ? AND client_id = ? AND conversation_id = ?"
_PUT: Final = (
    "INSERT INTO summaries (bot_id, client_id, conversation_id, upto_seq, text, updated_ms) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (bot_id, client_id, conversation_id) DO UPDATE SET"
    " upto_seq = excluded.upto_seq, text = excluded.text, updated_ms = excluded.updated_ms"
    " WHERE excluded.upto_seq > summaries.upto_seq"
)
_STILL_SAID: Final = (
    "SELECT 1 FROM conversations c JOIN messages m USING (bot_id, client_id, conversation_id)"
    f" WHERE {_WHICH} AND m.seq = ? AND m.created_ms = ? AND c.start_seq < m.seq"
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything said up to and including the message upto_seq, condensed."""

    upto_seq: int
    text: str
    updated_ms: int


def _size(summary: Summary | None) -> int:
    return len(summary.text) if summary is not None else 0


class Summaries:
    """The summaries of one bot. Every write raises StoreError when the file refuses."""

    __slots__ = ("_bot_id", "_known", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader, known: Known) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader
        self._known = known

    async def get(self, client_id: str, conversation_id: str) -> Summary | None:
        """Return what a conversation began with, None when nothing was condensed; from memory when asked before."""
        return await self._known.of(
            (self._bot_id, "summary", client_id, conversation_id), lambda: self._read(client_id, conversation_id), _size
        )

    async def _read(self, client_id: str, conversation_id: str) -> Summary | None:
        sql = f"SELECT upto_seq, text, updated_ms FROM summaries WHERE {_WHICH}"
        rows = await self._reader.fetch(sql, (self._bot_id, client_id, conversation_id))
        return Summary(*rows[0]) if rows else None

    async def put(
        self,
        client_id: str,
        conversation_id: str,
        upto: StoredMessage,
        text: str,
        now_ms: int,
        *,
        tokens: Tokens | None = None,
        user_id: str = "",
    ) -> bool:
        """Store what was said up to and including a message, and the tokens it took, in one transaction.

        False, and only the tokens are stored, when that message is not remembered any more: taken back, left behind by
        a reset, pruned, or its bot removed meanwhile, or when a later summary is there.
        """
        key = (self._bot_id, client_id, conversation_id)
        ids = self._writer.ids

        def job(connection: sqlite3.Connection) -> bool:
            if tokens is not None and _is_there(connection, self._bot_id):
                usage.add(connection, ids, self._bot_id, (client_id, conversation_id, user_id), None, tokens, now_ms)
            if connection.execute(_STILL_SAID, (*key, upto.seq, upto.created_ms)).fetchone() is None:
                return False
            return connection.execute(_PUT, (*key, upto.seq, storable(text), now_ms)).rowcount > 0

        known, name = self._known, (self._bot_id, "summary", client_id, conversation_id)
        return await self._writer.write(job, committed=lambda _: known.changed(name))


def _is_there(connection: sqlite3.Connection, bot_id: str) -> bool:
    """Tell whether a bot was not removed meanwhile: rows of one that is gone would bring it back."""
    return connection.execute("SELECT 1 FROM bots WHERE bot_id = ?", (bot_id,)).fetchone() is not None


def drop(connection: sqlite3.Connection, key: tuple[str, str, str], from_seq: int = 0) -> int:
    """Delete a summary that holds messages from a number on, within a write job; return how many, 0 or 1.

    key is (bot_id, client_id, conversation_id).
    """
    return connection.execute(f"DELETE FROM summaries WHERE {_WHICH} AND upto_seq >= ?", (*key, from_seq)).rowcount
