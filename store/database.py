"""The database of a fleet: opens the file, owns the writer and the readers, hands out partitions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from config.vocabulary import BOT_ID_PATTERN, FLEET, is_bot_id
from store import backup, bots, journal, logs, metrics, moving, opening, retention, transfer
from store.bots import SELECT, BotState, state_of
from store.errors import StoreError
from store.ids import bots_in
from store.messages import StoredMessage
from store.partition import Partition
from store.reader import Reader
from store.tails import Tails
from store.writer import NoWriter, Writer, WriterStats

_OPEN_UPDATES: Final = "SELECT bot_id, count(*) FROM updates WHERE outcome IS NULL GROUP BY bot_id"
_OPEN_SENDS: Final = "SELECT bot_id, count(*) FROM outbox WHERE state IN ('pending', 'attempting') GROUP BY bot_id"
_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"

PROBE_BYTES: Final = 65_536
"""Written by a probe of a faulted file: room for a few turns, lest the fault comes and goes every second."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What there is to see of the store's health."""

    pending: int
    """Writes asked for and not yet committed."""
    writer: WriterStats
    tails: int
    """Conversation ends held in memory."""
    tail_characters: int


class Store:
    """One open database. Use as an async context manager, or call `close`.

    `unclean` tells that the last process did not close it; `check` then says whether the file is whole.
    """

    def __init__(self, path: Path, writer: Writer, reader: Reader, *, unclean: bool = False) -> None:
        self.path = path
        self.unclean = unclean
        self._writer = writer
        self._reader = reader
        self._tails: Tails[StoredMessage] = Tails()
        self._pruner = retention.Pruner(writer, reader)
        self._partitions: dict[str, Partition] = {}
        reader.on_fault = writer.report

    @classmethod
    async def open(
        cls, path: Path, *, now_ms: int, durability: str = "full", backup_before_migration: bool = True
    ) -> Store:
        """Open or make the database, bring it to the newest format (an upgrade first takes a backup beside it).

        Raises StoreOpenError: the path cannot be made, the file is no database, damaged or from a newer botdeck.
        """
        opened = await asyncio.to_thread(
            opening.open_for_writing, path, now_ms, durability, backup_first=backup_before_migration
        )
        try:
            reader = await Reader.open(path)
        except sqlite3.Error as error:
            opened.connection.close()
            raise opening.cannot_open(path, error) from error
        writer = Writer(opened.connection, path, ids=opened.ids)
        async with AsyncExitStack() as undo:
            store = await undo.enter_async_context(cls(path, writer, reader, unclean=opened.unclean))
            for bot_id in await writer.write(transfer.unfinished):
                await store.remove_partition(bot_id)
            undo.pop_all()
        return store

    @classmethod
    async def open_readonly(cls, path: Path) -> Store:
        """Open the database as it is, to look at it beside a running fleet or without one; every write is refused.

        Raises StoreOpenError: there is no file, it is no database, or of another version.
        """
        await asyncio.to_thread(opening.check_readable, path)
        try:
            reader = await Reader.open(path, count=1)
        except sqlite3.Error as error:
            raise opening.cannot_open(path, error) from error
        return cls(path, NoWriter(path), reader)

    async def close(self) -> None:
        """Commit what was asked for, mark the file as closed cleanly, close. Safe to call twice."""
        if not self._writer.closed:
            await self._mark_closed()
        await self._reader.close()
        await self._writer.close()

    async def _mark_closed(self) -> None:
        try:
            await self._writer.write(lambda c: c.execute(opening.MARK, (FLEET, "no", 0)).rowcount)
        except StoreError:
            return  # a file that refuses writes stays marked as open, and is checked at the next start

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def partition(self, bot_id: str) -> Partition:
        """Return the rows of one bot: the only way to them. Raises ValueError for what cannot be a bot_id."""
        found = self._partitions.get(bot_id)
        if found is None:
            if bot_id != FLEET and not is_bot_id(bot_id):
                raise ValueError(f"{bot_id!r} is no bot_id; it must match {BOT_ID_PATTERN}")
            found = self._partitions[bot_id] = Partition(bot_id, self._writer, self._reader, self._tails)
        return found

    # --- health ------------------------------------------------------------------------------------------------

    @property
    def fault(self) -> StoreError | None:
        """Why the file refuses writes, while it does. Damage stays until the file is opened anew."""
        return self._writer.fault

    @property
    def pending(self) -> int:
        """Writes asked for and not yet committed."""
        return self._writer.pending

    @property
    def stats(self) -> StoreStats:
        """Return depth and work done, cheaply."""
        return StoreStats(self._writer.pending, replace(self._writer.stats), len(self._tails), self._tails.characters)

    async def wait_fault(self) -> StoreError:
        """Wait until the file refuses writes; return why."""
        while self._writer.fault is None:
            await self._writer.changed()
        return self._writer.fault

    async def wait_healthy(self) -> None:
        """Wait until the file takes writes; return at once when it does."""
        while self._writer.fault is not None:
            await self._writer.changed()

    async def probe(self, now_ms: int) -> bool:
        """Try a small write, also while the file is at fault; True when it was committed and the fault is over.

        Also finds out that the file was deleted or replaced. To be called every second while at fault, and now and
        then when nothing else is written.
        """
        blank = " " * (PROBE_BYTES if self._writer.fault is not None else 0)
        sql = opening.MARK.replace("'open'", "'probe'")
        try:
            await self._writer.write(lambda c: c.execute(sql, (FLEET, blank, now_ms)).rowcount, probe=True)
            if blank:
                await self._writer.write(lambda c: c.execute(sql, (FLEET, "", now_ms)).rowcount, probe=True)
            await self._reader.fetch("SELECT 1 FROM meta WHERE bot_id = ? AND key = 'open'", (FLEET,))
        except StoreError:
            return False
        return True

    async def check(self, *, thorough: bool = False) -> list[str]:
        """Return what SQLite's quick check finds wrong, [] when the file is whole. Runs beside everything else.

        thorough compares indexes with their tables too, as `PRAGMA integrity_check` does: some 10 s a gigabyte.
        """
        return await asyncio.to_thread(opening.find_damage, self.path, thorough=thorough)

    async def integrity_check(self) -> list[str]:
        """Return what SQLite's full check finds wrong, [] when the file is whole."""
        return await self.check(thorough=True)

    # --- the fleet as a whole ----------------------------------------------------------------------------------

    async def bot_ids(self) -> list[str]:
        """Return every bot that has rows in any table, in order; the fleet's own rows are left out."""
        found: set[str] = set()
        for (table,) in await self._reader.fetch(_TABLES):
            rows = await self._reader.fetch(f"{bots_in(table)} SELECT bot_id FROM here WHERE bot_id NOTNULL")
            found.update(bot_id for (bot_id,) in rows)
        return sorted(found - {FLEET})

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

    async def append_events(self, rows: Sequence[journal.NewEvent]) -> None:
        """Append events of any bots in one transaction."""
        if rows:
            await self._writer.write(lambda connection: journal.append(connection, self._writer.ids, rows))

    async def append_logs(self, rows: Sequence[logs.NewLog]) -> None:
        """Append log lines of any bots in one transaction."""
        if rows:
            await self._writer.write(lambda connection: logs.append(connection, self._writer.ids, rows))

    async def append_metrics(self, rows: Sequence[metrics.NewMetric]) -> None:
        """Add roll-ups of any bots in one transaction."""
        if rows:
            await self._writer.write(lambda connection: metrics.add(connection, rows))

    # --- keeping house -----------------------------------------------------------------------------------------

    async def prune(self, rules: retention.Rules, now_ms: int) -> int:
        """Delete one small batch of rows that are past their time; return how many, 0 when none is left.

        To be called in a loop with pauses, and after a 0 again in an hour or so.
        """
        table, deleted = await self._pruner.prune(rules, now_ms)
        if table == "messages":
            self._tails.forget()
        return deleted

    async def backup(self, target: Path, *, overwrite: bool = False) -> None:
        """Copy the live database and verify the copy. Raises StoreError; a half-made copy is removed."""
        await asyncio.to_thread(backup.copy, self.path, target, overwrite=overwrite)

    async def export_partition(self, bot_id: str, target: Path, *, overwrite: bool = False) -> int:
        """Write one bot's rows into a portable file; return how many. Raises StoreError."""
        return await asyncio.to_thread(transfer.export, self.path, bot_id, target, overwrite=overwrite)

    async def import_partition(self, source: Path, bot_id: str | None = None, *, now_ms: int = 0) -> tuple[str, int]:
        """Read a portable file into the (empty) partition of bot_id, default: the bot it came from.

        Returns (bot_id, rows). Raises StoreError when the file is no export or the partition holds rows. All or
        nothing: cut off by an error, a cancellation or the end of the process, it is taken back.
        """
        try:
            return await moving.bring_in(self._writer, source, bot_id, now_ms)
        finally:
            self._tails.forget()

    async def remove_partition(self, bot_id: str, *, now_ms: int = 0) -> int:
        """Delete every row of a bot, some at a time; return how many there were.

        Cut off by the end of the process, it goes on when the file is opened again.
        """
        if not is_bot_id(bot_id):
            raise ValueError(f"{bot_id!r} is no bot_id; it must match {BOT_ID_PATTERN}")
        self._partitions.pop(bot_id, None)
        try:
            return await moving.take_out(self._writer, bot_id, now_ms)
        finally:
            self._tails.forget(bot_id)
