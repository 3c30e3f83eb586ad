"""The single writer: one thread, one connection, group commit, a future per caller.

All jobs that arrived while the last commit ran share the next transaction; nobody waits for company. A job is a
function of the connection. When one raises, the group is rolled back and its jobs run again one by one, so that
each fails or succeeds alone: a job must be safe to run twice.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from store import opening
from store.errors import StoreCorrupt, StoreDoubtful, StoreError, StoreUnavailable
from store.faults import DOUBTFUL_HINT, fault_in
from store.files import Files
from store.ids import Ids
from store.jobs import Trial, Uncopied, Waiting, WriterStats, apart

T = TypeVar("T")
R = TypeVar("R")

GROUP_LIMIT: Final = 512
"""Jobs in one transaction at most: bounds how long the first of them waits."""

CAPACITY: Final = 10_000
"""Jobs waiting at most; whoever comes then waits for room."""

_OVERWRITE: Final = "UPDATE meta SET updated_ms = updated_ms + 1 WHERE key = 'open'"
"""Changes something: SQLite writes nothing for a row that stays as it is."""


class Writer:
    """Runs write jobs in order. `fault` is set while the file refuses writes; then only probes are tried.

    Made on the event loop it answers to. `ids` belongs to the jobs.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, ids: Ids | None = None, capacity: int = CAPACITY
    ) -> None:
        self.fault: StoreError | None = None
        self.stats = WriterStats()
        self.ids = ids or Ids()
        self._connection = connection
        self._path = path
        self._files = Files(path)
        self._uncopied = Uncopied()
        self._capacity = capacity
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._barred: StoreError | None = None
        self._pending = 0
        self._room = asyncio.Event()
        self._changed = asyncio.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="botdeck-writer", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Jobs asked for and not yet answered."""
        return self._pending

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def doubtful(self) -> bool:
        """Whether only `renew` can make the file take writes again."""
        return isinstance(self._barred, StoreDoubtful)

    async def write(
        self,
        job: Callable[[sqlite3.Connection], T],
        *,
        committed: Callable[[T], None] | None = None,
        probe: bool = False,
    ) -> T:
        """Run job inside a transaction; return its result once it is committed.

        Waits for room when `capacity` jobs are pending. Raises StoreFull, StoreUnavailable or StoreCorrupt when
        the file refuses (nothing of the job is then stored, but for an I/O error, after which it may turn out to be),
        StoreError when it is closed, or what the job raised.
        When the caller is cancelled, the job may still be committed; committed(result) is then called all the
        same, on the loop, before anybody learns of the commit. It must not raise.
        """
        while self._pending >= self._capacity and not self._closed:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            # Not StoreUnavailable: nobody shall wait for a closed file to recover.
            raise StoreError(f"{self._path} is closed")
        if self.fault is not None and not (probe and _may_pass(self.fault)):
            raise self.fault
        future: asyncio.Future[Any] = self._loop.create_future()
        self._pending += 1
        self._queue.put(Waiting(job, future, committed))
        return cast("T", await future)

    async def changed(self) -> None:
        """Wait until `fault` is set or cleared."""
        await self._changed.wait()

    def report(self, fault: StoreError) -> None:
        """Note a fault that reading met: the file is one, whoever finds it broken."""
        self._bar(fault)
        self._set_fault(fault)

    def look(self) -> None:
        """Find out whether the file was deleted or replaced, by its name alone: two looks at the folder."""
        if self.fault is None and not self._closed:
            try:
                self._still_ours()
            except StoreUnavailable as fault:
                self._set_fault(fault)

    async def renew(self, replace: Callable[[sqlite3.Connection], sqlite3.Connection]) -> None:
        """Have the connection replaced by a trustworthy one, on the writer's thread.

        Nothing but this ends a StoreDoubtful; `fault` stays until a probe was committed after it. Raises StoreError,
        also for what replace raises; it may be tried again then.
        """
        if self._closed:
            raise StoreError(f"{self._path} is closed")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._pending += 1
        self._queue.put(Waiting(replace, future, None, renewal=True))
        await future

    async def close(self) -> None:
        """Commit what was asked for, then end the thread and close the connection. Safe to call twice, to cancel."""
        if not self._closed:
            self._closed = True
            self._room.set()
            self._queue.put(None)
        await asyncio.shield(asyncio.to_thread(self._thread.join))

    # --- the writer's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        running = True
        while running:
            group: list[Waiting] = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                if len(group) >= GROUP_LIMIT or self._queue.empty():
                    break
                item = self._queue.get()
            running = item is not None
            for jobs in apart(group):
                self._work(jobs)
        with suppress(sqlite3.Error):  # a file that refuses even this is checked at the next start
            if self._barred is None:
                self._connection.close()
            else:
                opening.leave(self._connection, self._path)

    def _work(self, group: list[Waiting]) -> None:
        if group[0].renewal:
            self._tell(group, *self._renew(group[0]))
            return
        if self._barred is not None:
            self._tell(group, [self._barred] * len(group), self._barred)
            return
        before = self._connection.total_changes
        answers, fault = self._attempt(group)
        self._tell(group, answers, fault)
        if fault is not None:
            return
        rows = self._connection.total_changes - before
        self.stats.note(len(group), rows)
        self._uncopied.note(len(group), rows)
        if self._uncopied.due(self._files.log_bytes, idle=self._queue.empty()):
            self._checkpoint()

    def _tell(self, group: list[Waiting], answers: list[Any], fault: StoreError | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver, group, answers, fault)

    def _attempt(self, group: list[Waiting]) -> tuple[list[Any], StoreError | None]:
        """Run a group in one transaction; return an answer or exception per job, and the fault if there is one."""
        connection = self._connection
        answers: list[Any] = []
        with Trial() as trial:
            connection.execute("BEGIN IMMEDIATE")
            answers += [item.job(connection) for item in group]
            connection.execute("COMMIT")
            self._still_ours()
        if trial.error is None:
            return answers, None
        self._rollback()
        fault = fault_in(trial.error, self._path)
        if fault is not None:
            self._bar(fault)
            return [fault] * len(group), fault
        if len(group) == 1:
            return [trial.error], None
        return self._one_by_one(group)

    def _one_by_one(self, group: list[Waiting]) -> tuple[list[Any], StoreError | None]:
        answers: list[Any] = []
        fault: StoreError | None = None
        for item in group:
            answer, fault = self._attempt([item]) if fault is None else ([fault], fault)
            answers += answer
        return answers, fault

    def _renew(self, item: Waiting) -> tuple[list[Any], StoreError | None]:
        """Replace the connection; what was asked before and refused stays refused."""
        with Trial() as trial:
            self._still_ours()
            with suppress(sqlite3.Error):  # writes over the frames whose sync failed, if the device takes it
                self._connection.execute(_OVERWRITE)
            self._connection = item.job(self._connection)
            self._files.again()
        if trial.error is None:
            self._barred = None
            self._uncopied.clear(0)
            return [None], self.fault
        fault = fault_in(trial.error, self._path)
        if isinstance(trial.error, OSError):
            fault = StoreDoubtful(f"the device of {self._path} fails: {trial.error.strerror}", DOUBTFUL_HINT)
        if fault is not None:
            self._bar(fault)
        return [fault or trial.error], fault or self._barred

    def _bar(self, fault: StoreError) -> None:
        """Commit nothing more, not even what waits in the queue, when the file is not what it seems to be."""
        if isinstance(fault, StoreDoubtful | StoreCorrupt) and not isinstance(self._barred, StoreCorrupt):
            self._barred = fault

    def _still_ours(self) -> None:
        """Raise StoreUnavailable when what was just committed went into a file that has no name any more."""
        self._files.check()

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # SQLite rolled back by itself, as it does after an I/O error
                self._connection.execute("ROLLBACK")

    def _checkpoint(self) -> None:
        """Copy the log into the file. No room for it costs a longer log only; an I/O error puts the file in doubt."""
        self._uncopied.clear(self._files.log_bytes)
        try:
            self.stats.wal_pages = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
            self.stats.checkpoints += 1
        except sqlite3.Error as error:
            fault = fault_in(error, self._path)
            if isinstance(fault, StoreDoubtful | StoreCorrupt):
                self._bar(fault)
                self._tell([], [], fault)

    # --- back on the loop --------------------------------------------------------------------------------------

    def _deliver(self, group: list[Waiting], answers: list[Any], fault: StoreError | None) -> None:
        self._pending -= len(group)
        if self._pending < self._capacity:
            self._room.set()
        self._set_fault(fault)
        for item, answer in zip(group, answers, strict=True):
            failed = isinstance(answer, BaseException)
            if item.committed is not None and not failed:
                item.committed(answer)
            if item.future.done():
                continue
            if failed:
                item.future.set_exception(answer)
            else:
                item.future.set_result(answer)

    def _set_fault(self, fault: StoreError | None) -> None:
        if self.fault is not None and not _may_pass(self.fault):
            return
        fault = self._barred if fault is None else fault
        if (fault is None) != (self.fault is None):
            self._changed.set()
            self._changed = asyncio.Event()
        self.fault = fault


class NoWriter(Writer):
    """Stands where the writer would when a database is opened to be read only."""

    def __init__(self, path: Path) -> None:
        self.fault = None
        self.stats = WriterStats()
        self.ids = Ids()
        self._path = path
        self._barred = None
        self._pending = 0
        self._closed = True
        self._changed = asyncio.Event()

    async def write(
        self,
        job: Callable[[sqlite3.Connection], R],
        *,
        committed: Callable[[R], None] | None = None,
        probe: bool = False,
    ) -> R:
        """Raise StoreError, always."""
        raise StoreError(f"{self._path} is opened to be read only", "ask the running fleet to write")

    async def close(self) -> None:
        """Do nothing: there is nothing to drain."""


def _may_pass(fault: StoreError) -> bool:
    """Damage does not go away by itself: to write on would spread it."""
    return not isinstance(fault, StoreCorrupt)
