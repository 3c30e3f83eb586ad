"""Threads for tools that are plain functions: a bounded number, shared by the fleet, that never hold up its end."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from workers.errors import ToolFailed

T = TypeVar("T")

FLEET_THREADS: Final = 32
BOT_THREADS: Final = 8
"""Threads at work for the whole fleet and for one bot. A function that was given up keeps its thread until it ends, for a
thread cannot be stopped; one bot's must not take them all."""


class _Job:
    """A function to be run, and who waits for it."""

    __slots__ = ("bot_id", "future", "loop", "run")

    def __init__(self, bot_id: str, run: Callable[[], Any]) -> None:
        self.bot_id = bot_id
        self.run = run
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()


class Threads:
    """Runs functions beside the loop. Threads are made when needed, kept for the next function, and end with the process."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._alive = 0
        self._closed = False
        self._busy: Counter[str] = Counter()

    async def run(self, bot_id: str, function: Callable[[], T]) -> T:
        """Run a function in a thread and return what it returns; raises what it raises.

        Cancelling leaves the function to its end, unheard. Raises ToolFailed at once when the bot, or the fleet, has as many
        functions under way as it may.
        """
        if self._closed:
            raise ToolFailed("the fleet is shutting down")
        if self._busy[bot_id] >= BOT_THREADS or self._busy.total() >= FLEET_THREADS:
            raise ToolFailed("too many calls of tools are under way; try again later")
        self._busy[bot_id] += 1
        if self._busy.total() > self._alive:
            self._alive += 1
            threading.Thread(target=self._work, name=f"botdeck-tools-{self._alive}", daemon=True).start()
        context = copy_context()
        job = _Job(bot_id, lambda: context.run(function))
        self._jobs.put(job)
        result: T = await job.future
        return result

    def close(self) -> None:
        """Let the threads that rest end; those at work end with the process."""
        self._closed = True
        for _ in range(self._alive):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            result: Any = None
            failure: BaseException | None = None
            try:
                result = job.run()
            except BaseException as error:  # noqa: BLE001 (a tool that calls sys.exit ends its call, not the process)
                failure = error
            with suppress(RuntimeError):  # the loop is closed, nobody waits
                job.loop.call_soon_threadsafe(self._done, job, result, failure)
            del job, result, failure

    def _done(self, job: _Job, result: Any, failure: BaseException | None) -> None:
        self._busy[job.bot_id] -= 1
        if not self._busy[job.bot_id]:
            del self._busy[job.bot_id]
        if job.future.done():
            return
        if failure is None:
            job.future.set_result(result)
        elif isinstance(failure, Exception) and not isinstance(failure, StopIteration):
            job.future.set_exception(failure)
        else:
            job.future.set_exception(ToolFailed(f"it ended with {type(failure).__name__}"))
