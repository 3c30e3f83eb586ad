"""The database of a fleet: opens the file, owns the writer and the readers, hands out partitions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from config.vocabulary import BOT_ID_PATTERN, FLEET, is_bot_id
from store import backup, journal, logs, metrics, opening, retention, transfer
from store.bots import SELECT, BotState, state_of
from store.errors import StoreError
from store.partition import Partition
from store.reader import Reader
from store.writer import Writer

_MARK: Final = (
    "INSERT INTO meta VALUES (?, 'open', ?, ?) ON CONFLICT (bot_id, key)"
    " DO UPDATE SET value = excluded.value, updated_ms = excluded.updated_ms"
)


class Store:
    """One open database. Use as an async context manager, or call `close`.

    `unclean` tells that the last process did not close it; `check` then says whether the file is whole.
    """

    def __init__(self, path: Path, writer: Writer, reader: Reader, *, unclean: bool) -> None:
        self.path = path
        self.unclean = unclean
        self._writer = writer
        self._reader = reader
        self._partitions: dict[str, Partition] = {}

    @classmethod
    async def open(cls, path: Path, *, now_ms: int, durability: str = "full") -> Store:
        """Open or make the database, bring it to the newest format (an upgrade first takes a backup beside it).

        Raises StoreOpenError: the path cannot be made, the file is no database, damaged or from a newer botdeck.
        """
        connection = await asyncio.to_thread(opening.connect, path, now_ms, durability)
        try:
            unclean = await asyncio.to_thread(opening.take_mark, connection, now_ms)
            reader = await Reader.open(path)
        except sqlite3.Error as error:
            connection.close()
            raise opening.cannot_open(path, error) from error
        return cls(path, Writer(connection, path), reader, unclean=unclean)

    async def close(self) -> None:
        """Commit what was asked for, mark the file as closed cleanly, close. Safe to call twice."""
        if not self._writer.closed:
            await self._mark_closed()
        await self._reader.close()
        await self._writer.close()

    async def _mark_closed(self) -> None:
        try:
            await self._writer.write(lambda c: c.execute(_MARK, (FLEET, "no", 0)).rowcount)
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
            found = self._partitions[bot_id] = Partition(bot_id, self._writer, self._reader)
        return found

    # --- health ------------------------------------------------------------------------------------------------

    @property
    def fault(self) -> StoreError | None:
        """Why the file refuses writes, while it does."""
        return self._writer.fault

    @property
    def pending(self) -> int:
        """Writes asked for and not yet committed."""
        return self._writer.pending

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
        """Try a small write, also while the file is at fault; True when it was committed and the fault is over."""
        try:
            await self._writer.write(lambda c: c.execute(_MARK, (FLEET, "yes", now_ms)).rowcount, probe=True)
        except StoreError:
            return False
        return True

    async def check(self) -> list[str]:
        """Run SQLite's quick check; return what is wrong, [] when the file is whole."""
        rows = await self._reader.fetch("PRAGMA quick_check(10)")
        return [] if rows == [("ok",)] else [str(row[0]) for row in rows]

    # --- the fleet as a whole ----------------------------------------------------------------------------------

    async def states(self) -> list[BotState]:
        """Return the state of every bot ever seen, by bot_id."""
        return [state_of(row) for row in await self._reader.fetch(f"{SELECT} ORDER BY bot_id")]

    async def open_counts(self) -> dict[str, tuple[int, int]]:
        """Return bot_id → (open updates, open sends), bots with none left out."""
        updates = "SELECT bot_id, count(*) FROM updates WHERE outcome IS NULL GROUP BY bot_id"
        sends = "SELECT bot_id, count(*) FROM outbox WHERE state IN ('pending', 'attempting') GROUP BY bot_id"
        inbox: dict[str, int] = dict(await self._reader.fetch(updates))
        outbox: dict[str, int] = dict(await self._reader.fetch(sends))
        return {b: (inbox.get(b, 0), outbox.get(b, 0)) for b in inbox.keys() | outbox.keys()}

    async def append_events(self, rows: Sequence[journal.NewEvent]) -> None:
        """Append events of any bots in one transaction."""
        await self._append(journal.INSERT, rows)

    async def append_logs(self, rows: Sequence[logs.NewLog]) -> None:
        """Append log lines of any bots in one transaction."""
        await self._append(logs.INSERT, rows)

    async def append_metrics(self, rows: Sequence[metrics.NewMetric]) -> None:
        """Add roll-ups of any bots in one transaction."""
        await self._append(metrics.UPSERT, rows)

    async def _append(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            await self._writer.write(lambda connection: connection.executemany(sql, rows).rowcount)

    async def prune(self, rules: retention.Rules, now_ms: int) -> int:
        """Delete one small batch of rows that are past their time; return how many, 0 when none is left."""
        return await self._writer.write(lambda connection: retention.prune(connection, rules, now_ms))

    async def backup(self, target: Path, *, overwrite: bool = False) -> None:
        """Copy the live database and verify the copy. Raises StoreError; a half-made copy is removed."""
        await asyncio.to_thread(backup.copy, self.path, target, overwrite=overwrite)

    async def export_partition(self, bot_id: str, target: Path, *, overwrite: bool = False) -> int:
        """Write one bot's rows into a portable file; return how many. Raises StoreError."""
        return await asyncio.to_thread(transfer.export, self.path, bot_id, target, overwrite=overwrite)

    async def import_partition(self, source: Path, bot_id: str | None = None) -> tuple[str, int]:
        """Read a portable file into the (empty) partition of bot_id, default: the bot it came from.

        Returns (bot_id, rows). Raises StoreError when the file is no export or the partition holds rows.
        """
        exported = await asyncio.to_thread(transfer.read, source, bot_id)
        rows = await self._writer.write(lambda connection: transfer.insert(connection, exported))
        return exported.bot_id, rows

    async def remove_partition(self, bot_id: str) -> int:
        """Delete every row of a bot; return how many there were."""
        self._partitions.pop(bot_id, None)
        return await self._writer.write(lambda connection: transfer.remove(connection, bot_id))
