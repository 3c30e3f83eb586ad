"""Waits of one bot that end early when it drains."""

from __future__ import annotations

import anyio

from workers.clock import Clock
from workers.places import Places


class Rests:
    """Long waits in the middle of a turn: its place goes to another meanwhile, and none of them holds up a drain."""

    __slots__ = ("_clock", "_places", "_resting", "stopping")

    def __init__(self, clock: Clock, places: Places) -> None:
        self.stopping = False
        self._clock = clock
        self._places = places
        self._resting: set[anyio.CancelScope] = set()

    def stop(self) -> None:
        """End every wait, those to come included."""
        self.stopping = True
        for scope in self._resting:
            scope.cancel()

    async def sleep(self, seconds: float) -> bool:
        """Wait; False when the bot drains. Cancelling is safe."""
        if not self.stopping:
            with anyio.CancelScope() as scope:
                self._resting.add(scope)
                try:
                    async with self._places:
                        await self._clock.sleep(seconds)
                finally:
                    self._resting.discard(scope)
        return not self.stopping
