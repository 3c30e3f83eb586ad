"""Log lines, redacted before they came here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from store.reader import Reader

INSERT: Final = (
    "INSERT INTO logs VALUES (?1, (SELECT max(?2 * 1000, coalesce(max(log_id), 0) + 1) FROM logs WHERE bot_id = ?1),"
    " ?2, ?3, ?4, ?5, ?6)"
)
"""Takes (bot_id, at_ms, level, logger, text, exception)."""

NewLog = tuple[str, int, int, str, str, str]
_TAIL: Final = (
    "SELECT log_id, bot_id, at_ms, level, logger, text, exception FROM logs"
    " WHERE bot_id = ? AND log_id > ? AND at_ms >= ? AND level >= ? ORDER BY log_id DESC LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line; level as in the logging module."""

    log_id: int
    bot_id: str
    at_ms: int
    level: int
    logger: str
    text: str
    exception: str


class Logs:
    """The log of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def tail(self, limit: int, *, after_id: int = 0, since_ms: int = 0, min_level: int = 0) -> list[LogRow]:
        """Return the last lines behind after_id and since_ms, oldest first."""
        rows = await self._reader.fetch(_TAIL, (self._bot_id, after_id, since_ms, min_level, limit))
        return [LogRow(*row) for row in reversed(rows)]
