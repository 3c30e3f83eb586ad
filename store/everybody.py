"""What concerns the rows of all bots of a fleet: their states at a glance, and journals written for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from config.vocabulary import FLEET
from store import bots, journal, logs, metrics, opening, registrations, retention, usage
from store.bots import SELECT, BotState, state_of
from store.ids import bots_in
from store.keys import ApiKeys
from store.reader import Reader
from store.writer import Writer

_OPEN_UPDATES: Final = "SELECT bot_id, count(*) FROM updates WHERE outcome IS NULL GROUP BY bot_id"
_OPEN_SENDS: Final = "SELECT bot_id, count(*) FROM outbox WHERE state IN ('pending', 'attempting') GROUP BY bot_id"
_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"


async def stored_ids(reader: Reader) -> list[str]:
    """Return every bot that has rows in any table, in order; the fleet's own rows are left out."""
    found: set[str] = set()
    for (table,) in await reader.fetch(_TABLES):
        rows = await reader.fetch(f"{bots_in(table)} SELECT bot_id FROM here WHERE bot_id NOTNULL")
        found.update(bot_id for (bot_id,) in rows)
    return sorted(found - {FLEET})


class Everybody:
    """The part of a store that goes across partitions. Every write raises StoreError when the file refuses."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._bounds = retention.Bounds(writer, reader)
        self.keys = ApiKeys(writer, reader)

    async def bot_ids(self) -> list[str]:
        """Return every bot that has rows, as `stored_ids` does."""
        return await stored_ids(self._reader)

    async def states(self) -> list[BotState]:
        """Return the state of every bot ever seen, by bot_id."""
        rows = await self._reader.fetch(f"{SELECT} WHERE bot_id <> ? ORDER BY bot_id", (FLEET,))
        return [state_of(row) for row in rows]

    async def statuses(self) -> list[BotState]:
        """Return the state of every bot ever seen, by bot_id, with what lies open for it."""
        counts = await self.open_counts()
        states = await self.states()
        return [
            replace(s, inbox_open=counts[s.bot_id][0], outbox_open=counts[s.bot_id][1]) if s.bot_id in counts else s
            for s in states
        ]

    async def save_states(self, rows: bots.StateRows, now_ms: int) -> None:
        """Write columns of many bots' state rows in one transaction."""
        await self._writer.write(lambda connection: bots.save_many(connection, rows, now_ms))

    async def open_counts(self) -> dict[str, tuple[int, int]]:
        """Return bot_id → (open updates, open sends), bots with none left out."""
        inbox: dict[str, int] = dict(await self._reader.fetch(_OPEN_UPDATES))
        outbox: dict[str, int] = dict(await self._reader.fetch(_OPEN_SENDS))
        return {b: (inbox.get(b, 0), outbox.get(b, 0)) for b in inbox.keys() | outbox.keys()}

    async def tail_events(
        self, limit: int = 50, after_id: int = 0, kinds: Sequence[str] = (), *, since_ms: int = 0
    ) -> list[journal.EventRow]:
        """Return events of all bots, oldest first, as `Partition.events.tail` does for one."""
        return await journal.tail_of_fleet(self._reader, limit, after_id, kinds, since_ms)

    async def tail_logs(self, limit: int = 100, after_id: int = 0, *, min_level: int = 0) -> list[logs.LogRow]:
        """Return log lines of all bots, oldest first, as `Partition.logs.tail` does for one."""
        return await logs.tail_of_fleet(self._reader, limit, after_id, min_level)

    async def spent_since(self, since_ms: int) -> list[usage.Spent]:
        """Return what every bot spent since a moment, per provider and model."""
        return await usage.spent_since(self._reader, since_ms)

    async def registered(self, query: registrations.Query) -> list[registrations.RegistrationRow]:
        """Return the newest registration of the bots a query asks for."""
        return await registrations.newest(self._reader, query)

    async def count_registered(self, query: registrations.Query) -> int:
        """Return how many bots a query asks for, whatever its limit and offset."""
        return await registrations.count(self._reader, query)

    async def append_events(self, rows: Sequence[journal.NewEvent]) -> None:
        """Append events of any bots in one transaction."""
        if rows:
            await self._writer.write(lambda connection: journal.append(connection, self._writer.ids, rows))
            self._bounds.grew("events", [row[0] for row in rows])

    async def append_logs(self, rows: Sequence[logs.NewLog]) -> None:
        """Append log lines of any bots in one transaction."""
        if rows:
            await self._writer.write(lambda connection: logs.append(connection, self._writer.ids, rows))
            self._bounds.grew("logs", [row[0] for row in rows])

    async def append_metrics(self, rows: Sequence[metrics.NewMetric]) -> None:
        """Add roll-ups of any bots in one transaction."""
        if rows:
            await self._writer.write(lambda connection: metrics.add(connection, rows))

    async def trim(self, rows: int) -> int:
        """Delete one small batch of log lines or events of a bot that has more than so many of them; 0 = any number.

        Returns how many, 0 when no journal that grew is too long. To be called as `prune` is.
        """
        return await self._bounds.trim(rows)

    async def believed_ms(self) -> int | None:
        """Return the time at which rows were last deleted for their age; None when they never were."""
        rows = await self._reader.fetch("SELECT updated_ms FROM meta WHERE bot_id = ? AND key = 'believed'", (FLEET,))
        return int(rows[0][0]) if rows else None

    async def believe(self, now_ms: int) -> None:
        """Note that the clock was believed: a later process compares its own with it."""
        sql = opening.MARK.replace("'open'", "'believed'")
        await self._writer.write(lambda c: c.execute(sql, (FLEET, "", now_ms)).rowcount)
