"""Numbers of rows: microseconds of Unix time, moved on where two would meet.

One counter serves the whole file, so an id is unique over all bots and tables, grows with time, and is never used
again after its row was pruned. Old rows are then a range of the primary key.
"""

from __future__ import annotations

import sqlite3
from typing import Final

_NUMBERED: Final = (("events", "event_id"), ("logs", "log_id"), ("outbox", "outbox_id"), ("usage", "usage_id"))


FOR_EVER_MS: Final = 2**52
"""Later than any moment: about the year 144,000."""


class Ids:
    """Gives ids. Used by the writer's thread only."""

    __slots__ = ("_last",)

    def __init__(self, last: int = 0) -> None:
        self._last = last

    @property
    def last(self) -> int:
        """The highest id given or passed by."""
        return self._last

    def next(self, now_ms: int) -> int:
        """Return an id above every one given before, not below now_ms in microseconds."""
        self._last = max(self._last + 1, now_ms * 1000)
        return self._last

    def take(self, now_ms: int, count: int) -> range:
        """Return count ids in a row."""
        first = max(self._last + 1, now_ms * 1000)
        self._last = first + count - 1
        return range(first, first + count)

    def pass_by(self, known: int) -> None:
        """Never give an id up to `known`: rows that came from elsewhere hold them."""
        self._last = max(self._last, known)


def bots_in(table: str) -> str:
    """Return a common table expression `here(bot_id)`: the bots of a table, one seek each however many rows."""
    return (
        f"WITH RECURSIVE here(bot_id) AS (SELECT min(bot_id) FROM {table} UNION ALL"
        f" SELECT (SELECT min(bot_id) FROM {table} t WHERE t.bot_id > here.bot_id) FROM here WHERE here.bot_id NOTNULL)"
    )


def highest(connection: sqlite3.Connection) -> int:
    """Return the highest id in the file. A clock that was set back cannot make ids meet."""
    found = [connection.execute("SELECT max(arrival) FROM updates WHERE outcome IS NULL").fetchone()[0] or 0]
    for table, key in _NUMBERED:
        newest = f"(SELECT max({key}) FROM {table} t WHERE t.bot_id = here.bot_id)"
        sql = f"{bots_in(table)} SELECT max({newest}) FROM here WHERE bot_id NOTNULL"
        found.append(connection.execute(sql).fetchone()[0] or 0)
    return max(found)
