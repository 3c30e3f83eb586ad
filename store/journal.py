"""The journal of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from store.reader import Reader

INSERT: Final = (
    "INSERT INTO events VALUES (?1, (SELECT max(?2 * 1000, coalesce(max(event_id), 0) + 1) FROM events"
    " WHERE bot_id = ?1), ?2, ?3, ?4, ?5)"
)
"""Takes (bot_id, at_ms, kind, data as JSON, actor)."""

NewEvent = tuple[str, int, str, str, str]
_TAIL: Final = (
    "SELECT event_id, bot_id, at_ms, kind, data, actor FROM events"
    " WHERE bot_id = ? AND event_id > ? AND at_ms >= ? {kinds} ORDER BY event_id DESC LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event; data is JSON."""

    event_id: int
    bot_id: str
    at_ms: int
    kind: str
    data: str
    actor: str


class Journal:
    """The events of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def tail(
        self, limit: int, *, after_id: int = 0, since_ms: int = 0, kinds: Sequence[str] = ()
    ) -> list[EventRow]:
        """Return the last events behind after_id and since_ms, of the named kinds, oldest first."""
        chosen = f"AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        parameters: tuple[Any, ...] = (self._bot_id, after_id, since_ms, *kinds, limit)
        rows = await self._reader.fetch(_TAIL.format(kinds=chosen), parameters)
        return [EventRow(*row) for row in reversed(rows)]
