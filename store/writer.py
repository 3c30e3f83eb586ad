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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from store.errors import StoreError, StoreUnavailable
from store.faults import fault_of

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], Any]

GROUP_LIMIT: Final = 512
"""Jobs in one transaction at most: bounds how long the first of them waits."""


@dataclass(slots=True)
class WriterStats:
    """What the writer has done since it was made."""

    groups: int = 0
    jobs: int = 0
    largest_group: int = 0


class _Waiting:
    """One job and whoever waits for it."""

    __slots__ = ("future", "job", "probe")

    def __init__(self, job: Job, future: asyncio.Future[Any], *, probe: bool) -> None:
        self.job = job
        self.future = future
        self.probe = probe


class Writer:
    """Runs write jobs in order. `fault` is set while the file refuses writes; then only probes are tried."""

    def __init__(self, connection: sqlite3.Connection, path: Path, *, capacity: int = 10_000) -> None:
        self.fault: StoreError | None = None
        self.stats = WriterStats()
        self._connection = connection
        self._path = path
        self._inode = _inode_of(path)
        self._capacity = capacity
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._pending = 0
        self._room = asyncio.Event()
        self._room.set()
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

    async def write(self, job: Callable[[sqlite3.Connection], T], *, probe: bool = False) -> T:
        """Run job inside a transaction; return its result once it is committed.

        Waits for room when `capacity` jobs are pending. Raises StoreFull, StoreUnavailable or StoreCorrupt when
        the file refuses (nothing of the job is then stored), or what the job raised. When the caller is
        cancelled, the job may still be committed.
        """
        while self._pending >= self._capacity:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise StoreUnavailable(f"{self._path} is closed")
        if self.fault is not None and not probe:
            raise self.fault
        future: asyncio.Future[Any] = self._loop.create_future()
        self._pending += 1
        self._queue.put(_Waiting(job, future, probe=probe))
        return cast("T", await future)

    async def changed(self) -> None:
        """Wait until `fault` is set or cleared."""
        await self._changed.wait()

    async def close(self) -> None:
        """Commit what was asked for, then end the thread and close the connection. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.shield(asyncio.to_thread(self._thread.join))

    # --- the writer's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        running = True
        while running:
            group: list[_Waiting] = []
            item: _Waiting | None = self._queue.get()
            while True:
                if item is None:
                    running = False
                    break
                group.append(item)
                if len(group) >= GROUP_LIMIT or self._queue.empty():
                    break
                item = self._queue.get()
            if group:
                self._work(group)
        self._connection.close()

    def _work(self, group: list[_Waiting]) -> None:
        answers, fault = self._attempt(group)
        self.stats.groups += 1
        self.stats.jobs += len(group)
        self.stats.largest_group = max(self.stats.largest_group, len(group))
        try:
            self._loop.call_soon_threadsafe(self._deliver, group, answers, fault)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _attempt(self, group: list[_Waiting]) -> tuple[list[Any], StoreError | None]:
        """Run a group in one transaction; return an answer or exception per job, and the fault if there is one."""
        try:
            self._begin()
            answers = [item.job(self._connection) for item in group]
            self._connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 (it goes to the caller, whatever it is)
            self._rollback()
            fault = self._fault_in(error)
            if fault is not None:
                return [fault] * len(group), fault
            if len(group) == 1:
                return [error], None
            return self._one_by_one(group)
        return answers, None

    def _one_by_one(self, group: list[_Waiting]) -> tuple[list[Any], StoreError | None]:
        answers: list[Any] = []
        fault: StoreError | None = None
        for item in group:
            answer, fault = self._attempt([item]) if fault is None else ([fault], fault)
            answers += answer
        return answers, fault

    def _begin(self) -> None:
        # A file deleted or replaced under us would swallow commits without an error.
        if self._inode != _inode_of(self._path):
            raise StoreUnavailable(
                f"{self._path} was deleted or replaced while the fleet runs",
                "put the same file back, or stop the fleet and start it again",
            )
        self._connection.execute("BEGIN IMMEDIATE")

    def _fault_in(self, error: BaseException) -> StoreError | None:
        if isinstance(error, StoreUnavailable):
            return error
        return fault_of(error, self._path) if isinstance(error, sqlite3.Error) else None

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                return  # SQLite rolled back by itself, as it does after an I/O error

    # --- back on the loop --------------------------------------------------------------------------------------

    def _deliver(self, group: list[_Waiting], answers: list[Any], fault: StoreError | None) -> None:
        self._pending -= len(group)
        if self._pending < self._capacity:
            self._room.set()
        self._set_fault(fault)
        for item, answer in zip(group, answers, strict=True):
            if item.future.done():
                continue
            if isinstance(answer, BaseException):
                item.future.set_exception(answer)
            else:
                item.future.set_result(answer)

    def _set_fault(self, fault: StoreError | None) -> None:
        if (fault is None) != (self.fault is None):
            self._changed.set()
            self._changed = asyncio.Event()
        self.fault = fault


def _inode_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
