"""How much is on the loop at once: of one bot's work, however many of its lanes are under way, and of long steps."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Final

import anyio.lowlevel

AT_WORK: Final = 4
"""Turns of one bot that compute or commit at the same time. A step of another bot waits behind so many of them at most,
and the loop does no more at once however many lanes wait for a model or a server."""


class Places:
    """At most AT_WORK have a place; the others wait for one, in order.

    `take` and `give` frame the work. `async with places:` leaves the place to another for the length of the block, which
    waits for something outside, and comes back to one; an error comes back at once, if need be beyond the limit. Safe to
    cancel. For the tasks of one bot.
    """

    __slots__ = ("_free", "_queue")

    def __init__(self, count: int = AT_WORK) -> None:
        self._free = count
        self._queue: deque[asyncio.Future[None]] | None = None
        """Made when the first has to wait: an empty one is 760 bytes, for every bot."""

    async def take(self) -> None:
        """Have a place; without waiting when one is free."""
        if self._free > 0:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        if self._queue is None:
            self._queue = deque()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.give()  # it was given in the same moment
            raise

    def give(self) -> None:
        """Let another have the place."""
        while self._queue and self._free >= 0:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    async def __aenter__(self) -> None:
        """Leave the place."""
        self.give()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Come back."""
        if kind is not None:
            self._free -= 1
            return
        back = False
        try:
            await self.take()
            back = True
        finally:
            if not back:
                self._free -= 1


class OneByOne:
    """Long steps that cannot be cut, of whatever bot: `async with` lets one in at a time, and others onto the loop before.

    For what ends by itself, soon: a parse, a commit. Belongs to one event loop.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> None:
        """Come in. Safe to cancel."""
        await self._lock.acquire()
        entered = False
        try:
            await anyio.lowlevel.checkpoint()
            entered = True
        finally:
            if not entered:
                self._lock.release()

    async def __aexit__(self, *_: object) -> None:
        """Let the next one in."""
        self._lock.release()
