"""Start pacing: so many starts a second, so many bots starting at once, first come first served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio

from workers.clock import Clock

_NEARLY: Final = 1 - 1e-6
"""A token is whole when it is nearly so: floats must not make us sleep for a nanosecond."""


class Ticket:
    """A place in the queue, later a start slot. `leave` gives up whichever it is; safe to call again."""

    __slots__ = ("_left", "_on_grant", "_pacing", "granted")

    def __init__(self, pacing: StartPacing, on_grant: Callable[[], None]) -> None:
        self.granted = False
        self._pacing = pacing
        self._on_grant = on_grant
        self._left = False

    def leave(self) -> None:
        """Give the place or the slot back."""
        if not self._left:
            self._left = True
            self._pacing._give_back(self)  # noqa: SLF001 (the two are one thing)

    def _grant(self) -> None:
        self.granted = True
        self._on_grant()


class StartPacing:
    """A token bucket with room for one second's worth of starts, and a limit on bots starting at once.

    rate_per_s = 0 lifts the rate, not the limit. Nothing here waits but `run`: who joins is told by a callback, so that
    a cancelled starter can never hold a slot nobody knows of.
    """

    def __init__(self, clock: Clock, rate_per_s: float, max_starting: int) -> None:
        self.rate_per_s = rate_per_s
        self.max_starting = max_starting
        self._clock = clock
        self._queue: dict[Ticket, None] = {}
        self._starting = 0
        self._tokens = self._room
        self._counted_at = clock.monotonic()
        self._changed = anyio.Event()

    @property
    def queued(self) -> int:
        """How many wait for a slot."""
        return len(self._queue)

    @property
    def starting(self) -> int:
        """How many slots are taken."""
        return self._starting

    @property
    def _room(self) -> float:
        return max(1.0, self.rate_per_s)

    def join(self, on_grant: Callable[[], None]) -> Ticket:
        """Queue up. on_grant is called once a slot is had, perhaps at once, before this returns."""
        ticket = Ticket(self, on_grant)
        self._queue[ticket] = None
        self._grant()
        return ticket

    def change(self, rate_per_s: float, max_starting: int) -> None:
        """Take over other settings; those who wait profit at once. What was unpaced begins with a second's worth."""
        self._count()
        unpaced = not self.rate_per_s
        self.rate_per_s, self.max_starting = rate_per_s, max_starting
        self._tokens = self._room if unpaced else min(self._tokens, self._room)
        self._grant()

    async def run(self) -> None:
        """Hand out slots as time brings them. Runs until cancelled."""
        while True:
            self._changed = anyio.Event()
            wait_s = self._grant()
            if wait_s is None:
                await self._changed.wait()
            else:
                with self._clock.deadline(wait_s):
                    await self._changed.wait()

    def _give_back(self, ticket: Ticket) -> None:
        if ticket.granted:
            self._starting -= 1
            self._grant()
        else:
            self._queue.pop(ticket, None)

    def _grant(self) -> float | None:
        """Hand out what there is; return in how many seconds there is more, None when time alone brings nothing."""
        self._count()
        while self._queue and self._starting < self.max_starting:
            if self.rate_per_s and self._tokens < _NEARLY:
                self._changed.set()
                return (1 - self._tokens) / self.rate_per_s
            self._tokens -= 1 if self.rate_per_s else 0
            self._starting += 1
            ticket = next(iter(self._queue))
            del self._queue[ticket]
            ticket._grant()  # noqa: SLF001 (the two are one thing)
        return None

    def _count(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._room, self._tokens + (now - self._counted_at) * self.rate_per_s)
        self._counted_at = now
