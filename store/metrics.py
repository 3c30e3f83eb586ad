"""Minute roll-ups of counters and measurements."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from store.reader import Reader

_UPSERT: Final = (
    "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (bot_id, name, minute) DO UPDATE SET"
    " count = count + excluded.count, total = total + excluded.total,"
    " minimum = min(minimum, excluded.minimum), maximum = max(maximum, excluded.maximum)"
)

_STEPS: Final = (
    "WITH RECURSIVE names(name) AS (SELECT min(name) FROM metrics WHERE bot_id = ?1 UNION ALL"
    " SELECT (SELECT min(name) FROM metrics WHERE bot_id = ?1 AND name > names.name) FROM names WHERE name NOTNULL)"
    " SELECT m.name, (m.minute - ?2) / ?3, sum(m.count), sum(m.total), max(m.maximum) FROM names CROSS JOIN metrics m"
    " WHERE m.bot_id = ?1 AND m.name = names.name AND m.minute >= ?2 AND m.minute < ?4 GROUP BY 1, 2"
)

NewMetric = tuple[str, str, int, int, float, float, float]
"""(bot_id, name, minute, count, total, minimum, maximum)."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One minute of one name. minute counts from the Unix epoch."""

    minute: int
    count: int
    total: float
    minimum: float
    maximum: float


def add(connection: sqlite3.Connection, rows: Sequence[NewMetric]) -> None:
    """Add roll-ups of any bots within a write job."""
    connection.executemany(_UPSERT, rows)


class MetricRows:
    """The roll-ups of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def range(self, name: str, from_minute: int, to_minute: int) -> list[MetricRow]:
        """Return the minutes of one name in [from_minute, to_minute), in order; empty minutes are left out."""
        sql = (
            "SELECT minute, count, total, minimum, maximum FROM metrics"
            " WHERE bot_id = ? AND name = ? AND minute >= ? AND minute < ? ORDER BY minute"
        )
        return [MetricRow(*row) for row in await self._reader.fetch(sql, (self._bot_id, name, from_minute, to_minute))]

    async def steps(self, from_minute: int, to_minute: int, step: int) -> list[tuple[str, int, int, float, float]]:
        """Return (name, number of the step, count, total, maximum) for every step of so many minutes that has any."""
        return await self._reader.fetch(_STEPS, (self._bot_id, from_minute, step, to_minute))
