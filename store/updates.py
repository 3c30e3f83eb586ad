"""The inbox: raw updates, committed before the server is told to forget them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from store.ids import Ids
from store.outbox import count_doubt
from store.reader import Reader
from store.texts import storable
from store.writer import Writer

_INSERT: Final = (
    "INSERT OR IGNORE INTO updates (bot_id, update_id, arrival, lane, payload, received_ms) VALUES (?, ?, ?, ?, ?, ?)"
)
_OFFSET: Final = (
    "INSERT INTO bots (bot_id, next_offset, created_ms, updated_ms) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (bot_id) DO UPDATE SET next_offset = excluded.next_offset"
)
_FINISH: Final = (
    "UPDATE updates SET outcome = ?, finished_ms = ?, payload = '', error = ?"
    " WHERE bot_id = ? AND update_id = ? AND outcome IS NULL"
)
_POISON: Final = (
    "UPDATE updates SET outcome = 'poison', finished_ms = ?, error = ?"
    " WHERE bot_id = ? AND update_id = ? AND outcome IS NULL"
)
_ATTEMPT: Final = (
    "UPDATE updates SET attempts = attempts + 1, error = ? WHERE bot_id = ? AND update_id = ? RETURNING attempts"
)
_OPEN: Final = (
    "SELECT update_id, lane, payload, received_ms, attempts, arrival, preview_id FROM updates"
    " WHERE bot_id = ? AND outcome IS NULL ORDER BY arrival LIMIT ?"
)
_PREVIEW: Final = "UPDATE updates SET preview_id = ? WHERE bot_id = ? AND update_id = ? AND outcome IS NULL"
_COUNT: Final = "SELECT count(*) FROM updates WHERE bot_id = ? AND outcome IS NULL"
_RECENT: Final = (
    "SELECT update_id, lane, payload, received_ms, finished_ms, outcome, error FROM updates"
    " WHERE bot_id = ?1 AND (?2 IS NULL OR outcome = ?2) ORDER BY update_id DESC LIMIT ?3"
)


@dataclass(frozen=True, slots=True)
class NewUpdate:
    """An update as it came: payload is its raw JSON, lane the conversation it belongs to."""

    update_id: int
    lane: str
    payload: str


@dataclass(frozen=True, slots=True)
class OpenUpdate:
    """An update not yet finished; preview_id is the message its answer was shown in while it was written, 0 for one that
    was on its way, None for none.
    """

    update_id: int
    lane: str
    payload: str
    received_ms: int
    attempts: int
    arrival: int
    preview_id: int | None = None


@dataclass(frozen=True, slots=True)
class FinishedUpdate:
    """An update and what became of it: answered, ignored, expired, failed or poison (which keeps its payload).

    outcome and finished_ms are None while it is open.
    """

    update_id: int
    lane: str
    payload: str
    received_ms: int
    finished_ms: int | None
    outcome: str | None
    error: str


def finish(connection: sqlite3.Connection, bot_id: str, update_id: int, now_ms: int, outcome: str, error: str) -> bool:
    """Finish an update within a write job; False when it was finished (or forgotten) before."""
    return connection.execute(_FINISH, (outcome, now_ms, error, bot_id, update_id)).rowcount > 0


def receive(
    connection: sqlite3.Connection,
    ids: Ids,
    bot_id: str,
    batch: Sequence[NewUpdate],
    next_offset: int | None,
    now_ms: int,
) -> list[int]:
    """Insert a batch and the next offset within a write job; return the ids that were new, in order."""
    new = []
    for update, arrival in zip(batch, ids.take(now_ms, len(batch)), strict=True):
        row = (bot_id, update.update_id, arrival, storable(update.lane), storable(update.payload), now_ms)
        if connection.execute(_INSERT, row).rowcount:
            new.append(update.update_id)
    if next_offset is not None:
        connection.execute(_OFFSET, (bot_id, next_offset, now_ms, now_ms))
    return new


class Updates:
    """The inbox of one bot. Every write raises StoreError when the file refuses; nothing of it is then stored."""

    __slots__ = ("_bot_id", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader

    async def receive(self, batch: Sequence[NewUpdate], next_offset: int | None, now_ms: int) -> list[int]:
        """Commit a batch and the next offset in one transaction.

        Returns the ids that were new, in order; repeats are recognised by their key. When the caller is
        cancelled, the batch may be committed all the same: it is open then, and asking again brings nothing new.
        """
        if not batch and next_offset is None:
            return []
        ids, bot_id = self._writer.ids, self._bot_id
        return await self._writer.write(lambda c: receive(c, ids, bot_id, batch, next_offset, now_ms))

    async def open(self, limit: int | None = None) -> list[OpenUpdate]:
        """Return what is not finished, in order of arrival."""
        rows = await self._reader.fetch(_OPEN, (self._bot_id, -1 if limit is None else limit))
        return [OpenUpdate(*row) for row in rows]

    async def open_count(self) -> int:
        """Return how many updates are not finished."""
        return int((await self._reader.fetch(_COUNT, (self._bot_id,)))[0][0])

    async def finish(self, update_id: int, now_ms: int, outcome: str, error: str = "") -> bool:
        """Finish an update without an answer; False when it was finished before."""
        return await self._writer.write(lambda c: finish(c, self._bot_id, update_id, now_ms, outcome, storable(error)))

    async def poison(self, update_id: int, error: str, now_ms: int) -> None:
        """Set an update aside, keeping its payload to be looked at."""
        row = (now_ms, storable(error), self._bot_id, update_id)
        await self._writer.write(lambda c: c.execute(_POISON, row).rowcount)

    async def attempt_failed(self, update_id: int, error: str, now_ms: int = 0) -> int:
        """Count a failed attempt; return how many there were. 0 when the update is gone."""

        def job(connection: sqlite3.Connection) -> int:
            row = connection.execute(_ATTEMPT, (storable(error), self._bot_id, update_id)).fetchone()
            return int(row[0]) if row else 0

        return await self._writer.write(job)

    async def preview(self, update_id: int, message_id: int | None) -> None:
        """Note the message in which the answer to an open update is being shown: 0 while it is on its way, None = none."""
        row = (message_id, self._bot_id, update_id)
        await self._writer.write(lambda connection: connection.execute(_PREVIEW, row).rowcount)

    async def preview_in_doubt(self, update_id: int, now_ms: int) -> bool:
        """Count a message that was on its way (`preview` 0) as a send in doubt; False when none was. Counted once."""
        row, bot_id = (None, self._bot_id, update_id), self._bot_id

        def job(connection: sqlite3.Connection) -> bool:
            if not connection.execute(f"{_PREVIEW} AND preview_id = 0", row).rowcount:
                return False
            count_doubt(connection, bot_id, now_ms)
            return True

        return await self._writer.write(job)

    async def finished(self, outcome: str | None = None, limit: int = 50) -> list[FinishedUpdate]:
        """Return updates by id, highest first, open ones included; only those of one outcome when given."""
        return [FinishedUpdate(*row) for row in await self._reader.fetch(_RECENT, (self._bot_id, outcome, limit))]

    async def recent(self, limit: int = 50) -> list[FinishedUpdate]:
        """Return updates by id, highest first, whatever became of them."""
        return await self.finished(None, limit)

    async def poisoned(self, limit: int = 50) -> list[FinishedUpdate]:
        """Return updates that were set aside, highest id first."""
        return await self.finished("poison", limit)
