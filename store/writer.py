"""The single writer: one thread, one connection, group commit, a future per caller.

All jobs that arrived while the last commit ran share the next transaction; nobody waits for company. A job is a
function of the connection. When one raises, the group is rolled back and its jobs run again one by one, so that
each fails or succeeds alone: a job must be safe to run twice.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from store.errors import StoreCorrupt, StoreError, StoreUnavailable
from store.faults import fault_of
from store.ids import Ids

T = TypeVar("T")
R = TypeVar("R")
Job = Callable[[sqlite3.Connection], Any]

GROUP_LIMIT: Final = 512
"""Jobs in one transaction at most: bounds how long the first of them waits."""

CAPACITY: Final = 10_000
"""Jobs waiting at most; whoever comes then waits for room."""

CHECKPOINT_JOBS: Final = 1_000
"""After so many jobs the log is copied into the file, at a moment when nobody waits for a commit."""


@dataclass(slots=True)
class WriterStats:
    """What the writer has done since it was made. Written by its thread; read anywhere."""

    groups: int = 0
    jobs: int = 0
    rows: int = 0
    last_group: int = 0
    largest_group: int = 0
    checkpoints: int = 0
    wal_pages: int = 0
    """Pages in the log at the last checkpoint."""


class _Waiting:
    """One job, whoever waits for it, and what is to be done on the loop once it is committed."""

    __slots__ = ("committed", "future", "job")

    def __init__(self, job: Job, future: asyncio.Future[Any], committed: Callable[[Any], Any] | None) -> None:
        self.job = job
        self.future = future
        self.committed = committed


class _Trial:
    """Takes whatever is raised inside, to hand it to the one who asked: a job's mistake is its caller's."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return True


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
        self._files = {name: _identity(name) for name in (str(path), f"{path}-wal")}
        self._capacity = capacity
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._pending = 0
        self._unchecked = 0
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

    async def write(
        self,
        job: Callable[[sqlite3.Connection], T],
        *,
        committed: Callable[[T], None] | None = None,
        probe: bool = False,
    ) -> T:
        """Run job inside a transaction; return its result once it is committed.

        Waits for room when `capacity` jobs are pending. Raises StoreFull, StoreUnavailable or StoreCorrupt when
        the file refuses (nothing of the job is then stored), StoreError when it is closed, or what the job raised.
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
        self._queue.put(_Waiting(job, future, committed))
        return cast("T", await future)

    async def changed(self) -> None:
        """Wait until `fault` is set or cleared."""
        await self._changed.wait()

    def report(self, fault: StoreError) -> None:
        """Note a fault that reading met: the file is one, whoever finds it broken."""
        self._set_fault(fault)

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
            group: list[_Waiting] = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                if len(group) >= GROUP_LIMIT or self._queue.empty():
                    break
                item = self._queue.get()
            running = item is not None
            if group:
                self._work(group)
        with suppress(sqlite3.Error):  # a file that refuses even this is checked at the next start
            self._connection.close()

    def _work(self, group: list[_Waiting]) -> None:
        before = self._connection.total_changes
        answers, fault = self._attempt(group)
        stats = self.stats
        stats.groups += 1
        stats.jobs += len(group)
        stats.rows += self._connection.total_changes - before
        stats.last_group = len(group)
        stats.largest_group = max(stats.largest_group, len(group))
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver, group, answers, fault)
        self._unchecked += len(group)
        if fault is None and self._unchecked >= CHECKPOINT_JOBS and self._queue.empty():
            self._checkpoint()

    def _attempt(self, group: list[_Waiting]) -> tuple[list[Any], StoreError | None]:
        """Run a group in one transaction; return an answer or exception per job, and the fault if there is one."""
        connection = self._connection
        answers: list[Any] = []
        with _Trial() as trial:
            connection.execute("BEGIN IMMEDIATE")
            answers += [item.job(connection) for item in group]
            connection.execute("COMMIT")
            self._still_ours()
        if trial.error is None:
            return answers, None
        self._rollback()
        fault = self._fault_in(trial.error)
        if fault is not None:
            return [fault] * len(group), fault
        if len(group) == 1:
            return [trial.error], None
        return self._one_by_one(group)

    def _one_by_one(self, group: list[_Waiting]) -> tuple[list[Any], StoreError | None]:
        answers: list[Any] = []
        fault: StoreError | None = None
        for item in group:
            answer, fault = self._attempt([item]) if fault is None else ([fault], fault)
            answers += answer
        return answers, fault

    def _still_ours(self) -> None:
        """Raise StoreUnavailable when what was just committed went into a file that has no name any more."""
        for name, identity in self._files.items():
            if _identity(name) != identity:
                raise StoreUnavailable(
                    f"{name} was deleted or replaced while the fleet runs",
                    "put the same file back, or stop the fleet and start it again",
                )

    def _fault_in(self, error: BaseException) -> StoreError | None:
        if isinstance(error, StoreUnavailable):
            return error
        return fault_of(error, self._path) if isinstance(error, sqlite3.Error) else None

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # SQLite rolled back by itself, as it does after an I/O error
                self._connection.execute("ROLLBACK")

    def _checkpoint(self) -> None:
        """Copy the log into the file. A failure costs nothing but a longer log: commits go on, and report it."""
        self._unchecked = 0
        with suppress(sqlite3.Error):
            self.stats.wal_pages = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
            self.stats.checkpoints += 1

    # --- back on the loop --------------------------------------------------------------------------------------

    def _deliver(self, group: list[_Waiting], answers: list[Any], fault: StoreError | None) -> None:
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


def _identity(name: str) -> tuple[int, int]:
    try:
        found = os.stat(name)  # noqa: PTH116 (called for every group: half the cost of Path.stat)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
