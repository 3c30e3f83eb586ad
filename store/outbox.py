"""The ledger of sends: pending → attempting → sent, failed, skipped. `attempting` after a crash is the one doubt."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from store.ids import Ids
from store.reader import Reader
from store.texts import storable
from store.writer import Writer

_INSERT: Final = (
    "INSERT INTO outbox (bot_id, outbox_id, update_id, chat_id, lane, part, parts, method, params, state, attempts,"
    " created_ms) VALUES "
)
_ROW: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ROWS: Final = 16
"""Parts of one statement; the thread that writes gets the interpreter anew for each."""
_IS_OPEN: Final = "bot_id = ? AND outbox_id = ? AND state IN ('pending', 'attempting')"
# What was said is in messages; a ledger row of a send that was taken keeps only what happened.
_SENT: Final = f"UPDATE outbox SET state = 'sent', params = '', message_id = ?, finished_ms = ? WHERE {_IS_OPEN}"
_ENDED: Final = f"UPDATE outbox SET state = ?, error = ?, finished_ms = ? WHERE {_IS_OPEN}"
_ATTEMPTING: Final = (
    "UPDATE outbox SET state = 'attempting', attempts = attempts + 1"
    " WHERE bot_id = ? AND outbox_id = ? AND state = 'pending'"
)
_WAITING: Final = "UPDATE outbox SET state = 'pending' WHERE bot_id = ? AND outbox_id = ? AND state = 'attempting'"
# Only a send on its way can be in doubt, and it leaves that state with the count: it is counted once, whoever asks again.
_AMBIGUOUS: Final = (
    "UPDATE outbox SET ambiguous = ambiguous + 1, state = ?, error = ?, finished_ms = ?"
    " WHERE bot_id = ? AND outbox_id = ? AND state = 'attempting'"
)
_AMBIGUOUS_BOT: Final = (
    "INSERT INTO bots (bot_id, ambiguous_sends, created_ms, updated_ms) VALUES (?, 1, ?, ?)"
    " ON CONFLICT (bot_id) DO UPDATE SET ambiguous_sends = ambiguous_sends + 1"
)
_COLUMNS: Final = (
    "outbox_id, update_id, chat_id, lane, part, parts, method, params, state, attempts, ambiguous, message_id, error,"
    " created_ms"
)
_OPEN: Final = (
    f"SELECT {_COLUMNS} FROM outbox WHERE bot_id = ? AND state IN ('pending', 'attempting') ORDER BY outbox_id LIMIT ?"
)
_COUNT: Final = "SELECT count(*) FROM outbox WHERE bot_id = ? AND state IN ('pending', 'attempting')"
_RECENT: Final = f"SELECT {_COLUMNS} FROM outbox WHERE bot_id = ? ORDER BY outbox_id DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class NewSend:
    """One part of an answer to be sent; params is JSON."""

    chat_id: int
    lane: str
    method: str
    params: str


@dataclass(frozen=True, slots=True)
class Send:
    """One row of the ledger.

    attempts counts how often it was about to leave, ambiguous how often it was cut off in flight. params is empty
    once it is sent.
    """

    outbox_id: int
    update_id: int | None
    chat_id: int
    lane: str
    part: int
    parts: int
    method: str
    params: str
    state: str
    attempts: int
    ambiguous: int
    message_id: int | None
    error: str
    created_ms: int


def add(
    connection: sqlite3.Connection,
    ids: Ids,
    bot_id: str,
    update_id: int | None,
    sends: Sequence[NewSend],
    now_ms: int,
    *,
    first_state: str = "pending",
) -> tuple[int, ...]:
    """Append the parts of one answer within a write job; return their ids, which grow."""
    given = tuple(ids.take(now_ms, len(sends)))
    rows = []
    for part, (outbox_id, send) in enumerate(zip(given, sends, strict=True), 1):
        state = first_state if part == 1 else "pending"
        row = (bot_id, outbox_id, update_id, send.chat_id, send.lane, part, len(sends), send.method)
        rows.append((*row, storable(send.params), state, int(state == "attempting"), now_ms))
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        connection.execute(_INSERT + ", ".join([_ROW] * len(some)), tuple(chain.from_iterable(some)))
    return given


def count_doubt(connection: sqlite3.Connection, bot_id: str, now_ms: int) -> None:
    """Count a send in doubt for its bot, within a write job."""
    connection.execute(_AMBIGUOUS_BOT, (bot_id, now_ms, now_ms))


class Outbox:
    """The ledger of one bot. Changing a send that is finished, or gone, changes nothing and is no error."""

    __slots__ = ("_bot_id", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader

    async def open(self, limit: int | None = None) -> list[Send]:
        """Return pending and attempting sends in order."""
        return [Send(*row) for row in await self._reader.fetch(_OPEN, (self._bot_id, -1 if limit is None else limit))]

    async def open_count(self) -> int:
        """Return how many sends are pending or attempting."""
        return int((await self._reader.fetch(_COUNT, (self._bot_id,)))[0][0])

    async def recent(self, limit: int = 50) -> list[Send]:
        """Return the newest sends, newest first."""
        return [Send(*row) for row in await self._reader.fetch(_RECENT, (self._bot_id, limit))]

    async def add(self, sends: Sequence[NewSend], now_ms: int, *, update_id: int | None = None) -> tuple[int, ...]:
        """Append sends that belong to no turn, as pending; return their ids."""
        ids, bot_id = self._writer.ids, self._bot_id
        return await self._writer.write(lambda c: add(c, ids, bot_id, update_id, sends, now_ms))

    async def attempting(self, outbox_id: int, now_ms: int = 0) -> None:
        """Note that a send is about to leave; committed before it does."""
        await self._change(_ATTEMPTING, (self._bot_id, outbox_id))

    async def waiting(self, outbox_id: int) -> None:
        """Note that a send certainly did not happen and is to be tried again."""
        await self._change(_WAITING, (self._bot_id, outbox_id))

    async def sent(self, outbox_id: int, message_id: int | None, now_ms: int) -> None:
        """Note that a send was accepted; its params are dropped."""
        await self._change(_SENT, (message_id, now_ms, self._bot_id, outbox_id))

    async def sent_many(self, sent: Sequence[tuple[int, int | None]], now_ms: int) -> None:
        """Note that sends, (outbox_id, message_id) each, were accepted, in one transaction."""
        rows = [(message_id, now_ms, self._bot_id, outbox_id) for outbox_id, message_id in sent]
        await self._writer.write(lambda connection: connection.executemany(_SENT, rows).rowcount)

    async def failed(self, outbox_id: int, error: str, now_ms: int) -> None:
        """Note that a send was refused for good."""
        await self._change(_ENDED, ("failed", storable(error), now_ms, self._bot_id, outbox_id))

    async def _change(self, sql: str, row: tuple[object, ...]) -> None:
        await self._writer.write(lambda connection: connection.execute(sql, row).rowcount)

    async def ambiguous(self, outbox_id: int, now_ms: int, *, skipped: str = "") -> None:
        """Count a send cut off in flight, in its row and for the bot; with that it is `pending` again.

        With a reason in skipped it is closed instead. A send that is not `attempting` is left as it is.
        """
        end = ("skipped", storable(skipped), now_ms) if skipped else ("pending", "", None)

        def job(connection: sqlite3.Connection) -> None:
            if connection.execute(_AMBIGUOUS, (*end, self._bot_id, outbox_id)).rowcount:
                count_doubt(connection, self._bot_id, now_ms)

        await self._writer.write(job)
