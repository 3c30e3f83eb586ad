"""One run of a worker: a task of its own, which can always be left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import anyio

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from workers.underway import Underway
    from workers.worker import Vitals

DRAIN_S: Final = 20.0
CLEANUP_S: Final = 5.0
"""So long a cancelled worker has to clean up; then it is left behind. With the drain that is 25 of the 28 seconds a
whole shutdown may take."""


class Runner(Protocol):
    """What a keeper runs: `workers.worker.Worker`. Made anew for each run."""

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until drained. Raises BotInvalid, or what it crashed with."""
        ...

    def drain(self) -> None:
        """Take nothing more in; `run` returns once what is in flight is finished."""
        ...

    def let_go(self) -> None:
        """Leave alone what did not heed its cancellation."""
        ...

    def pause(self) -> None:
        """Poll no more, stay ready."""
        ...

    def resume(self) -> None:
        """Poll again."""
        ...

    def apply(self, spec: BotSpec) -> None:
        """Take over keys that need no restart."""
        ...

    def vitals(self) -> Vitals:
        """Return what there is to see."""
        ...

    def underway(self) -> list[Underway]:
        """Return the turns whose model is being asked."""
        ...


class Run:
    """Runs one worker in an asyncio task outside of every task group.

    So a worker that ignores its cancellation cannot hold up its keeper or the shutdown: it is left behind. And it is
    cancelled once per `cancel`, not at each of its awaits as in a cancelled scope, so that what it does on its way out
    can await. nudge is called when something is to be looked at: it is ready, or it has ended.
    """

    __slots__ = ("_nudge", "_task", "cancelled", "deadline", "draining", "ended", "ready", "started_at", "worker")

    def __init__(self, bot_id: str, make: Callable[[], Runner], now: float, nudge: Callable[[], None]) -> None:
        self.worker: Runner | None = None
        """None until the task has begun."""
        self.ready = False
        self.started_at = now
        self.deadline: float | None = None
        """Monotonic moment by which it should have ended, once it was drained or cancelled."""
        self.draining = self.cancelled = False
        self.ended = anyio.Event()
        self._nudge = nudge
        self._task = asyncio.get_running_loop().create_task(self._live(make), name=f"{bot_id}/worker")
        self._task.add_done_callback(self._end)

    async def _live(self, make: Callable[[], Runner]) -> None:
        self.worker = make()
        await self.worker.run(self._become_ready)

    def _become_ready(self) -> None:
        self.ready = True
        self._nudge()

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain when it was left behind
        self.ended.set()
        self._nudge()

    @property
    def done(self) -> bool:
        """Whether the worker has ended."""
        return self._task.done()

    def outcome(self) -> BaseException | None:
        """Return what a run that is done was ended by; None when it returned."""
        return asyncio.CancelledError() if self._task.cancelled() else self._task.exception()

    def drain(self, now: float) -> None:
        """Have the worker finish what is in flight, and nothing else, within DRAIN_S."""
        if self.worker is None:  # there is nothing to finish
            self.cancel(now)
            return
        self.draining, self.deadline = True, now + DRAIN_S
        self.worker.drain()

    def cancel(self, now: float) -> None:
        """Have the worker end at once, within CLEANUP_S. Asked again, it is interrupted in its clean-up too."""
        self.cancelled, self.deadline = True, now + CLEANUP_S
        self._task.cancel()

    def let_go(self) -> None:
        """Leave the worker to itself: it has not heeded its cancellation."""
        if self.worker is not None:
            self.worker.let_go()
