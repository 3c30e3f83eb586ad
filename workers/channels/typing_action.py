"""The "typing…" people see while an answer is made: best effort, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from workers.channels.base import Lane
from workers.errors import ChannelError

MAX_WAITING: Final = 32


class TypingAction:
    """Sends typing actions one after the other in one task, made at first use; more than MAX_WAITING are dropped.

    A lane that waits already is not added again. `send` does one action and raises ChannelErrors, which are ignored.
    """

    __slots__ = ("_arrived", "_send", "_task", "_waiting")

    def __init__(self, send: Callable[[Lane], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: dict[Lane, None] = {}
        self._arrived: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    def show(self, lane: Lane) -> None:
        """Ask for one action, at once and without waiting. Must be called inside the event loop."""
        if len(self._waiting) >= MAX_WAITING:
            return
        self._waiting[lane] = None
        if self._arrived is None or self._task is None or self._task.done():
            self._arrived = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._run(self._arrived), name="typing")
        self._arrived.set()

    async def close(self) -> None:
        """End the task, also in the middle of a request. Idempotent."""
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
                lane = next(iter(self._waiting))
                with contextlib.suppress(ChannelError):
                    await self._send(lane)
                self._waiting.pop(lane, None)
