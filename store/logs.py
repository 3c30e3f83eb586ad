"""Log lines, redacted before they came here."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from store.ids import FOR_EVER_MS, Ids, bots_in
from store.reader import Reader
from store.texts import storable

_INSERT: Final = "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?)"
_COLUMNS: Final = "log_id, bot_id, at_ms, level, logger, text, exception"
_MATCH: Final = "log_id > ? AND log_id >= ? AND log_id < ? AND at_ms >= ? AND at_ms < ? AND level >= ? ORDER BY log_id {order} LIMIT ?"
_TAIL: Final = f"SELECT {_COLUMNS} FROM logs WHERE bot_id = ? AND {_MATCH}"
_TAIL_ALL: Final = (
    f"{bots_in('logs')} SELECT l.{_COLUMNS.replace(', ', ', l.')} FROM here CROSS JOIN logs l"
    " WHERE l.bot_id = here.bot_id AND l.log_id IN"
    f" (SELECT log_id FROM logs t WHERE t.bot_id = here.bot_id AND {_MATCH}) ORDER BY l.log_id {{order}} LIMIT ?"
)

NewLog = tuple[str, int, int, str, str, str]
"""(bot_id, at_ms, level, logger, text, exception)."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line; level as in the logging module. log_id grows with time over all bots."""

    log_id: int
    bot_id: str
    at_ms: int
    level: int
    logger: str
    text: str
    exception: str


def append(connection: sqlite3.Connection, ids: Ids, rows: Sequence[NewLog]) -> None:
    """Append lines of any bots within a write job."""
    connection.executemany(
        _INSERT,
        [
            (bot_id, ids.next(at_ms), at_ms, level, storable(logger), storable(text), storable(exception or ""))
            for bot_id, at_ms, level, logger, text, exception in rows
        ],
    )


class Logs:
    """The log of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def tail(
        self, limit: int = 100, since_ms: int = 0, min_level: int = 0, after_id: int = 0, *, before_ms: int = 0
    ) -> list[LogRow]:
        """Return lines since a moment, before another (0: now), and from a level upwards, oldest first.

        The last `limit` of them; with after_id the first `limit` behind it, so that a follower misses none.
        """
        sql, asked = _asked(_TAIL, limit, after_id, since_ms, before_ms, min_level)
        return _rows(await self._reader.fetch(sql, (self._bot_id, *asked)), after_id)


async def tail_of_fleet(reader: Reader, limit: int, after_id: int, min_level: int) -> list[LogRow]:
    """Return lines of all bots, as `Logs.tail` does for one."""
    sql, asked = _asked(_TAIL_ALL, limit, after_id, 0, 0, min_level)
    return _rows(await reader.fetch(sql, (*asked, limit)), after_id)


def _asked(
    sql: str, limit: int, after_id: int, since_ms: int, before_ms: int, min_level: int
) -> tuple[str, tuple[int, ...]]:
    end_ms = before_ms or FOR_EVER_MS
    # Ids run ahead of the clock where many came at once: the bound by id is a second wider than that by time.
    asked = (after_id, since_ms * 1000, (end_ms + 1000) * 1000, since_ms, end_ms, min_level, limit)
    return sql.format(order="ASC" if after_id else "DESC"), asked


def _rows(rows: list[tuple[Any, ...]], after_id: int) -> list[LogRow]:
    return [LogRow(*row) for row in (rows if after_id else reversed(rows))]
