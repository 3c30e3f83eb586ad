"""A moment that many may wait for, again and again."""

from __future__ import annotations

from collections.abc import Callable

import anyio


class Pulse:
    """`beat()` wakes all who wait now; nothing is remembered, so waiters look at the state they wait for."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def beat(self) -> None:
        """Wake everybody; costs nothing when nobody waits."""
        if self._event is not None:
            event, self._event = self._event, None
            event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once condition() is true, looking now and after every beat. Safe to cancel."""
        while not condition():
            if self._event is None:
                self._event = anyio.Event()
            await self._event.wait()
