"""The ledger of sends: pending → attempting → sent, failed or skipped. `attempting` after a crash is the one doubt."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from store.reader import Reader
from store.writer import Writer

_LAST: Final = "SELECT coalesce(max(outbox_id), 0) FROM outbox WHERE bot_id = ?"
_INSERT: Final = (
    "INSERT INTO outbox (bot_id, outbox_id, update_id, chat_id, lane, part, parts, method, params, state, created_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_STATE: Final = (
    "UPDATE outbox SET state = ?, message_id = ?, error = ?, finished_ms = ?"
    " WHERE bot_id = ? AND outbox_id = ? AND state IN ('pending', 'attempting')"
)
_COLUMNS: Final = (
    "outbox_id, update_id, chat_id, lane, part, parts, method, params, state, ambiguous, message_id, error, created_ms"
)
_OPEN: Final = (
    f"SELECT {_COLUMNS} FROM outbox WHERE bot_id = ? AND state IN ('pending', 'attempting') ORDER BY outbox_id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class NewSend:
    """One part of an answer to be sent; params is JSON."""

    chat_id: int
    lane: str
    method: str
    params: str


@dataclass(frozen=True, slots=True)
class Send:
    """One row of the ledger. ambiguous counts how often it was cut off in flight."""

    outbox_id: int
    update_id: int | None
    chat_id: int
    lane: str
    part: int
    parts: int
    method: str
    params: str
    state: str
    ambiguous: int
    message_id: int | None
    error: str
    created_ms: int


def add(
    connection: sqlite3.Connection,
    bot_id: str,
    update_id: int | None,
    sends: Sequence[NewSend],
    now_ms: int,
    *,
    first_attempting: bool,
) -> tuple[int, ...]:
    """Append the parts of one answer within a write job; return their ids."""
    last = connection.execute(_LAST, (bot_id,)).fetchone()[0]
    for part, send in enumerate(sends, 1):
        state = "attempting" if first_attempting and part == 1 else "pending"
        row = (bot_id, last + part, update_id, send.chat_id, send.lane, part, len(sends), send.method, send.params)
        connection.execute(_INSERT, (*row, state, now_ms))
    return tuple(range(last + 1, last + len(sends) + 1))


class Outbox:
    """The ledger of one bot."""

    __slots__ = ("_bot_id", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader

    async def open(self, limit: int = -1) -> list[Send]:
        """Return pending and attempting sends in order."""
        return [Send(*row) for row in await self._reader.fetch(_OPEN, (self._bot_id, limit))]

    async def open_count(self) -> int:
        """Return how many sends are pending or attempting."""
        sql = "SELECT count(*) FROM outbox WHERE bot_id = ? AND state IN ('pending', 'attempting')"
        return int((await self._reader.fetch(sql, (self._bot_id,)))[0][0])

    async def recent(self, limit: int = 50) -> list[Send]:
        """Return the newest sends, newest first."""
        sql = f"SELECT {_COLUMNS} FROM outbox WHERE bot_id = ? ORDER BY outbox_id DESC LIMIT ?"
        return [Send(*row) for row in await self._reader.fetch(sql, (self._bot_id, limit))]

    async def attempting(self, outbox_id: int) -> None:
        """Note that a send is about to leave; committed before it does."""
        sql = "UPDATE outbox SET state = 'attempting' WHERE bot_id = ? AND outbox_id = ? AND state = 'pending'"
        await self._writer.write(lambda c: c.execute(sql, (self._bot_id, outbox_id)).rowcount)

    async def waiting(self, outbox_id: int) -> None:
        """Note that a send certainly did not happen and is to be tried again."""
        sql = "UPDATE outbox SET state = 'pending' WHERE bot_id = ? AND outbox_id = ? AND state = 'attempting'"
        await self._writer.write(lambda c: c.execute(sql, (self._bot_id, outbox_id)).rowcount)

    async def sent(self, outbox_id: int, message_id: int | None, now_ms: int) -> None:
        """Note that a send was accepted."""
        await self._end(outbox_id, "sent", message_id, "", now_ms)

    async def failed(self, outbox_id: int, error: str, now_ms: int) -> None:
        """Note that a send was refused for good."""
        await self._end(outbox_id, "failed", None, error, now_ms)

    async def skipped(self, outbox_id: int, error: str, now_ms: int) -> None:
        """Note that a send is not made, by policy."""
        await self._end(outbox_id, "skipped", None, error, now_ms)

    async def _end(self, outbox_id: int, state: str, message_id: int | None, error: str, now_ms: int) -> None:
        row = (state, message_id, error, now_ms, self._bot_id, outbox_id)
        await self._writer.write(lambda c: c.execute(_STATE, row).rowcount)

    async def ambiguous(self, outbox_id: int, now_ms: int) -> None:
        """Count a send cut off in flight, in its row and for the bot."""

        def job(connection: sqlite3.Connection) -> None:
            row = (self._bot_id, outbox_id)
            connection.execute("UPDATE outbox SET ambiguous = ambiguous + 1 WHERE bot_id = ? AND outbox_id = ?", row)
            sql = "UPDATE bots SET ambiguous_sends = ambiguous_sends + 1, updated_ms = ? WHERE bot_id = ?"
            connection.execute(sql, (now_ms, self._bot_id))

        await self._writer.write(job)
