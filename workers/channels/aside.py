"""Calls beside the way of a message: best effort, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from workers.errors import ChannelError

K = TypeVar("K")

MAX_WAITING: Final = 32


class Aside(Generic[K]):
    """Does things one after the other in one task, made at first use; more than MAX_WAITING are dropped.

    A thing that waits already is not added again. `do` does one and raises ChannelErrors, which are ignored.
    """

    __slots__ = ("_arrived", "_do", "_name", "_task", "_waiting")

    def __init__(self, do: Callable[[K], Awaitable[None]], name: str) -> None:
        self._do = do
        self._name = name
        self._waiting: dict[K, None] = {}
        self._arrived: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    def put(self, thing: K) -> None:
        """Ask for one, at once and without waiting. Must be called inside the event loop."""
        if len(self._waiting) >= MAX_WAITING:
            return
        self._waiting[thing] = None
        if self._arrived is None or self._task is None or self._task.done():
            self._arrived = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._run(self._arrived), name=self._name)
        self._arrived.set()

    async def close(self) -> None:
        """End the task, also in the middle of a call. Idempotent."""
        self._waiting.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, arrived: asyncio.Event) -> None:
        while True:
            await arrived.wait()
            arrived.clear()
            while self._waiting:
                thing = next(iter(self._waiting))
                with contextlib.suppress(ChannelError):
                    await self._do(thing)
                self._waiting.pop(thing, None)
