"""Jobs on their way through the writer."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

Job = Callable[[sqlite3.Connection], Any]

CHECKPOINT_JOBS: Final = 1_000
"""After so many jobs the log is copied into the file, at a moment when nobody waits for a commit."""

CHECKPOINT_ROWS: Final = 10_000
CHECKPOINT_BYTES: Final = 32 * 1024 * 1024
"""After so many rows, or so much growth of the log, it is copied although somebody waits."""


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

    def note(self, jobs: int, rows: int) -> None:
        """Count a group that was committed."""
        self.groups += 1
        self.jobs += jobs
        self.rows += rows
        self.last_group = jobs
        self.largest_group = max(self.largest_group, jobs)


class Uncopied:
    """What was committed into the log since it was last copied into the file."""

    __slots__ = ("_jobs", "_log_was", "_rows")

    def __init__(self) -> None:
        self._jobs = self._rows = self._log_was = 0

    def note(self, jobs: int, rows: int) -> None:
        """Count a group that was committed."""
        self._jobs += jobs
        self._rows += rows

    def due(self, log_bytes: int, *, idle: bool) -> bool:
        """Tell whether it is time for a checkpoint, idle being whether nobody waits for a commit."""
        if self._rows >= CHECKPOINT_ROWS or log_bytes - self._log_was >= CHECKPOINT_BYTES:
            return True
        return idle and self._jobs >= CHECKPOINT_JOBS

    def clear(self, log_bytes: int) -> None:
        """Begin to count anew."""
        self._jobs = self._rows = 0
        self._log_was = log_bytes


class Waiting:
    """One job, whoever waits for it, and what is to be done on the loop once it is committed."""

    __slots__ = ("committed", "future", "job", "renewal")

    def __init__(
        self, job: Job, future: asyncio.Future[Any], committed: Callable[[Any], Any] | None, *, renewal: bool = False
    ) -> None:
        self.job = job
        self.future = future
        self.committed = committed
        self.renewal = renewal


class Trial:
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


def apart(group: list[Waiting]) -> list[list[Waiting]]:
    """Return the jobs of a group that share a transaction; a renewal stands alone."""
    if not any(item.renewal for item in group):
        return [group] if group else []
    return [[item] for item in group]
