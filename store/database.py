"""The database of a fleet: opens the file, owns the writer and the readers, hands out partitions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar
from weakref import WeakValueDictionary

from config.vocabulary import BOT_ID_PATTERN, FLEET, is_bot_id
from store import backup, inspection, moving, opening, retention, transfer
from store.bots import BotState
from store.errors import StoreError
from store.everybody import Everybody
from store.jobs import WriterStats
from store.known import Known
from store.messages import StoredMessage
from store.partition import Partition
from store.reader import Reader
from store.tails import Tails
from store.writer import NoWriter, Writer

T = TypeVar("T")

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


class Store(Everybody):
    """One open database. Use as an async context manager, or call `close`.

    `unclean` tells that the last process did not close it and that nobody has found it whole since: see `check`.
    """

    def __init__(
        self, path: Path, writer: Writer, reader: Reader, *, unclean: bool = False, durability: str = "full"
    ) -> None:
        self.path = path
        self.unclean = unclean
        self._durability = durability
        self._beside = 0
        self._probing = asyncio.Lock()
        super().__init__(writer, reader)
        self._tails: Tails[StoredMessage] = Tails()
        self._known = Known()
        self._pruner = retention.Pruner(writer, reader)
        self._partitions: WeakValueDictionary[str, Partition] = WeakValueDictionary()
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
            store = await undo.enter_async_context(
                cls(path, writer, reader, unclean=opened.unclean, durability=durability)
            )
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
        if self.unclean:
            return  # it is checked at the next start, if this process did not get round to it
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
            found = self._partitions[bot_id] = Partition(bot_id, self._writer, self._reader, self._tails, self._known)
        return found

    async def status(self, bot_id: str) -> BotState | None:
        """Return the state of one bot with what lies open for it; None for a bot never seen."""
        partition = self.partition(bot_id)
        state = await partition.state.load()
        if state is None:
            return None
        inbox, outbox = await partition.updates.open_count(), await partition.outbox.open_count()
        return replace(state, inbox_open=inbox, outbox_open=outbox)

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

        After an I/O error the file is first opened anew and checked, which takes some seconds a gigabyte. To be called
        every second while at fault, and now and then when nothing else is written.
        """
        async with self._probing:
            if self._writer.doubtful and not await self._renewed():
                return False
            return await self._try_writing(now_ms)

    async def _renewed(self) -> bool:
        """Open the file anew; False when it cannot be trusted yet. A copy being made must end first."""
        if self._beside:
            return False
        await self._reader.rest()
        try:
            await self._writer.renew(partial(opening.reopen, path=self.path, durability=self._durability))
            await self._reader.resume()
        except (StoreError, sqlite3.Error):
            return False
        finally:
            self._forget()
        return True

    async def _try_writing(self, now_ms: int) -> bool:
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

    def look(self) -> None:
        """Find out that the file was deleted or replaced without reading or writing it: cheap enough for every second."""
        self._writer.look()

    async def check(self, *, thorough: bool = False) -> list[str]:
        """Return what SQLite's quick check finds wrong, [] when the file is whole. Runs beside everything else.

        thorough compares indexes with their tables too, as `PRAGMA integrity_check` does: some 10 s a gigabyte. Damage
        found here is a fault as if SQLite had met it: nothing is written any more. Cancelling is safe, and leaves the
        check behind. Raises StoreError when the file cannot be looked at.
        """
        self._beside += 1
        try:
            found = await inspection.aside(partial(opening.find_damage, self.path, thorough=thorough))
        finally:
            self._beside -= 1
        if found:
            self._writer.report(inspection.corrupt(self.path, found))
        else:
            self.unclean = False
        return found

    async def _read_beside(self, work: Callable[[], T]) -> T:
        """Do something long with a connection of its own, in a thread."""
        self._beside += 1
        try:
            return await asyncio.to_thread(work)
        finally:
            self._beside -= 1

    async def integrity_check(self) -> list[str]:
        """Return what SQLite's full check finds wrong, [] when the file is whole."""
        return await self.check(thorough=True)

    # --- keeping house -----------------------------------------------------------------------------------------

    async def prune(self, rules: retention.Rules, now_ms: int) -> int:
        """Delete one small batch of rows that are past their time; return how many, 0 when none is left.

        To be called in a loop with pauses, and after a 0 again in an hour or so.
        """
        table, deleted = await self._pruner.prune(rules, now_ms)
        if table in retention.REMEMBERED:
            self._forget()
        return deleted

    async def backup(self, target: Path, *, overwrite: bool = False) -> None:
        """Copy the live database and verify the copy. Raises StoreError; a half-made copy is removed."""
        await self._read_beside(partial(backup.copy, self.path, target, overwrite=overwrite))

    async def export_partition(self, bot_id: str, target: Path, *, overwrite: bool = False) -> int:
        """Write one bot's rows into a portable file; return how many. Raises StoreError."""
        return await self._read_beside(partial(transfer.export, self.path, bot_id, target, overwrite=overwrite))

    async def import_partition(self, source: Path, bot_id: str | None = None, *, now_ms: int) -> tuple[str, int]:
        """Read a portable file into the (empty) partition of bot_id, default: the bot it came from.

        Returns (bot_id, rows). Raises StoreError when the file is no export, holds rows of the future, or the
        partition holds rows. All or nothing: cut off by an error, a cancellation or the end of the process, it is taken back.
        """
        try:
            return await moving.bring_in(self._writer, source, bot_id, now_ms)
        finally:
            self._forget()

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
            self._forget(bot_id)

    def _forget(self, bot_id: str | None = None) -> None:
        """Hold nothing in memory of rows that were changed behind its back, of one bot or of all."""
        self._tails.forget(bot_id)
        self._known.forget(bot_id)
