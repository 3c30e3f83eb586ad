"""The journal of events."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from store.ids import FOR_EVER_MS, Ids, bots_in
from store.reader import Reader
from store.texts import storable

_INSERT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)"
_COLUMNS: Final = "event_id, bot_id, at_ms, kind, data, actor"
_MATCH: Final = "event_id > ? AND event_id >= ? AND event_id < ? AND at_ms >= ? AND at_ms < ? {kinds} ORDER BY event_id {order} LIMIT ?"
_TAIL: Final = f"SELECT {_COLUMNS} FROM events WHERE bot_id = ? AND {_MATCH}"
_TAIL_ALL: Final = (
    f"{bots_in('events')} SELECT e.{_COLUMNS.replace(', ', ', e.')} FROM here CROSS JOIN events e"
    " WHERE e.bot_id = here.bot_id AND e.event_id IN"
    f" (SELECT event_id FROM events t WHERE t.bot_id = here.bot_id AND {_MATCH}) ORDER BY e.event_id {{order}} LIMIT ?"
)

NewEvent = tuple[str, int, str, str, str]
"""(bot_id, at_ms, kind, data as JSON, actor)."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event; data is JSON. event_id grows with time over all bots."""

    event_id: int
    bot_id: str
    at_ms: int
    kind: str
    data: str
    actor: str


def append(connection: sqlite3.Connection, ids: Ids, rows: Sequence[NewEvent]) -> None:
    """Append events of any bots within a write job."""
    connection.executemany(
        _INSERT,
        [
            (bot_id, ids.next(at_ms), at_ms, kind, storable(data), storable(actor))
            for bot_id, at_ms, kind, data, actor in rows
        ],
    )


class Journal:
    """The events of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def tail(
        self, limit: int = 50, after_id: int = 0, kinds: Sequence[str] = (), *, since_ms: int = 0, before_ms: int = 0
    ) -> list[EventRow]:
        """Return events since a moment, before another (0: now), of the named kinds, oldest first.

        The last `limit` of them; with after_id the first `limit` behind it, so that a follower misses none.
        """
        sql, parameters = _asked(_TAIL, limit, after_id, kinds, since_ms, before_ms)
        return _rows(await self._reader.fetch(sql, (self._bot_id, *parameters)), after_id)


async def tail_of_fleet(
    reader: Reader, limit: int, after_id: int, kinds: Sequence[str], since_ms: int
) -> list[EventRow]:
    """Return events of all bots, as `Journal.tail` does for one."""
    sql, parameters = _asked(_TAIL_ALL, limit, after_id, kinds, since_ms)
    return _rows(await reader.fetch(sql, (*parameters, limit)), after_id)


def _asked(
    sql: str, limit: int, after_id: int, kinds: Sequence[str], since_ms: int, before_ms: int = 0
) -> tuple[str, tuple[Any, ...]]:
    chosen = f"AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    order = "ASC" if after_id else "DESC"
    end_ms = before_ms or FOR_EVER_MS
    # Ids run ahead of the clock where many came at once: the bound by id is a second wider than that by time.
    times = (since_ms * 1000, (end_ms + 1000) * 1000, since_ms, end_ms)
    return sql.format(kinds=chosen, order=order), (after_id, *times, *kinds, limit)


def _rows(rows: list[tuple[Any, ...]], after_id: int) -> list[EventRow]:
    return [EventRow(*row) for row in (rows if after_id else reversed(rows))]
