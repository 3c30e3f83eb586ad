"""Time: the only module that sleeps or reads the clock.

Everything that waits takes a `Clock`. `SystemClock` is the real one; `ManualClock` is held in hand by tests,
which move it and see what would have happened.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import anyio
import anyio.lowlevel


class Clock(Protocol):
    """What time it is, and waiting for it to pass."""

    def now(self) -> float:
        """Return Unix time in seconds: for records and people, may jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment: for durations, never jumps."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait; cancelling is safe. Zero or less still yields to the loop once."""
        ...

    def deadline(self, delay_s: float) -> AbstractContextManager[anyio.CancelScope, bool | None]:
        """Return a context manager giving a CancelScope that is cancelled after delay_s.

        Like anyio.move_on_after: the block is left without an error, `scope.cancelled_caught` tells.
        """
        ...


class SystemClock:
    """Real time."""

    def now(self) -> float:
        """Return Unix time in seconds."""
        return time.time()  # noqa: TID251 (the one place)

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()  # noqa: TID251 (the one place)

    async def sleep(self, delay_s: float) -> None:
        """Wait really."""
        await anyio.sleep(max(0.0, delay_s))  # noqa: TID251 (the one place)

    def deadline(self, delay_s: float) -> AbstractContextManager[anyio.CancelScope, bool | None]:
        """Give a scope that is cancelled after delay_s of real time."""
        return anyio.move_on_after(delay_s)


class ManualClock:
    """Time held in hand: it stands still until `advance` moves it.

    Everything due is woken in order of its moment, and the loop is let run to rest in between, so that a
    chain of sleeps unfolds inside one `advance`. Real input and output (sockets, threads) still takes real time.
    """

    SETTLE_ROUNDS = 50

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._monotonic = 0.0
        self._epoch = now
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Return Unix time in seconds."""
        return self._epoch + self._monotonic

    def monotonic(self) -> float:
        """Return seconds since the clock was made."""
        return self._monotonic

    @property
    def waiting(self) -> int:
        """How many sleeps and deadlines lie ahead (those already left included, until their moment)."""
        return len(self._due)

    def jump(self, seconds: float) -> None:
        """Move wall-clock time only, as a corrected system clock does."""
        self._epoch += seconds

    async def sleep(self, delay_s: float) -> None:
        """Wait until the clock has been moved far enough."""
        if delay_s <= 0:
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        self._at(self._monotonic + delay_s, event.set)
        await event.wait()

    @contextmanager
    def deadline(self, delay_s: float) -> Iterator[anyio.CancelScope]:
        """Give a scope that is cancelled once the clock has been moved by delay_s."""
        with anyio.CancelScope() as scope:
            open_ = [True]
            self._at(self._monotonic + delay_s, lambda: scope.cancel() if open_[0] else None)
            try:
                yield scope
            finally:
                open_[0] = False

    async def advance(self, seconds: float) -> None:
        """Move time, waking all that falls due on the way."""
        target = self._monotonic + seconds
        await self._settle()
        while self._due and self._due[0][0] <= target:
            moment, _, wake = heapq.heappop(self._due)
            self._monotonic = max(self._monotonic, moment)
            wake()
            await self._settle()
        self._monotonic = target
        await self._settle()

    def _at(self, moment: float, wake: Callable[[], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._numbers), wake))

    async def _settle(self) -> None:
        for _ in range(self.SETTLE_ROUNDS):
            await anyio.lowlevel.checkpoint()
