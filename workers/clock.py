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
from typing import Final, Protocol

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


def process_monotonic() -> float:
    """Return real monotonic seconds, whatever clock a fleet runs on.

    Only for watching the event loop itself (also from a thread): a loop that is blocked is blocked in real time.
    """
    return time.monotonic()  # noqa: TID251 (the one place)


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


class _Due:
    """Something to be woken at a moment; `wake` is None once nobody waits for it any more."""

    __slots__ = ("moment", "number", "wake")

    def __init__(self, moment: float, number: int, wake: Callable[[], None]) -> None:
        self.moment = moment
        self.number = number
        self.wake: Callable[[], None] | None = wake

    def __lt__(self, other: _Due) -> bool:
        return (self.moment, self.number) < (other.moment, other.number)


class ManualClock:
    """Time held in hand: it stands still until `advance` moves it.

    Everything due is woken in order of its moment, and the loop is let run to rest in between, so that a
    chain of sleeps unfolds inside one `advance`. Real input and output (sockets, threads) still takes real time.
    """

    SETTLE_ROUNDS: Final = 50

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._monotonic = 0.0
        self._epoch = now
        self._due: list[_Due] = []
        self._left = 0
        self._numbers = itertools.count()

    def now(self) -> float:
        """Return Unix time in seconds."""
        return self._epoch + self._monotonic

    def monotonic(self) -> float:
        """Return seconds since the clock was made."""
        return self._monotonic

    @property
    def waiting(self) -> int:
        """How many sleeps and deadlines lie ahead; those left or cancelled do not count."""
        return len(self._due) - self._left

    def jump(self, seconds: float) -> None:
        """Move wall-clock time only, as a corrected system clock does."""
        self._epoch += seconds

    async def sleep(self, delay_s: float) -> None:
        """Wait until the clock has been moved far enough."""
        if delay_s <= 0:
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        due = self._at(self._monotonic + delay_s, event.set)
        try:
            await event.wait()
        finally:
            self._leave(due)

    @contextmanager
    def deadline(self, delay_s: float) -> Iterator[anyio.CancelScope]:
        """Give a scope that is cancelled once the clock has been moved by delay_s."""
        with anyio.CancelScope() as scope:
            due = self._at(self._monotonic + delay_s, scope.cancel)
            try:
                yield scope
            finally:
                self._leave(due)

    async def advance(self, seconds: float) -> None:
        """Move time, waking all that falls due on the way."""
        target = self._monotonic + seconds
        await self._settle()
        while self._due and self._due[0].moment <= target:
            due = heapq.heappop(self._due)
            if due.wake is None:
                self._left -= 1
                continue
            self._monotonic = max(self._monotonic, due.moment)
            wake, due.wake = due.wake, None
            wake()
            await self._settle()
        self._monotonic = target
        await self._settle()

    def _at(self, moment: float, wake: Callable[[], None]) -> _Due:
        due = _Due(moment, next(self._numbers), wake)
        heapq.heappush(self._due, due)
        return due

    def _leave(self, due: _Due) -> None:
        """Forget a sleep or deadline nobody waits for; they are thrown out once they are the greater part."""
        if due.wake is None:
            return
        due.wake = None
        self._left += 1
        if self._left * 2 > len(self._due):
            self._due = [each for each in self._due if each.wake is not None]
            heapq.heapify(self._due)
            self._left = 0

    async def _settle(self) -> None:
        for _ in range(self.SETTLE_ROUNDS):
            await anyio.lowlevel.checkpoint()
