"""Lanes: order within a chat and topic, everything else side by side, a bounded number at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final, Generic, TypeVar

import anyio

from workers.crew import Starter
from workers.places import Neighbours, Places

Item = TypeVar("Item")

MAX_PARKED: Final = 4
"""Runners kept at hand per bot; each holds about 3 KB."""


class Lanes(Generic[Item]):
    """Hands items to `handle`, one at a time per lane, in order; at most `max_lanes` lanes at once, in turn.

    Few of them are at work at the same time: each has one of the `places`, which `handle` leaves while it waits.
    A lane exists while it has work. Runners are tasks of the given group, named "<bot_id>/lane <lane>"; each takes
    the lane that waits longest, handles one item of it and goes on with the next. Out of work a few stay at hand until
    `rest`: to make a task costs a tenth of a turn. An exception in `handle` ends the group.
    """

    __slots__ = (
        "_bot_id",
        "_changed",
        "_group",
        "_handle",
        "_handling",
        "_lanes",
        "_parked",
        "_runners",
        "_stopping",
        "_waiting",
        "max_lanes",
        "open",
        "places",
    )

    def __init__(
        self,
        group: Starter,
        handle: Callable[[Item], Awaitable[None]],
        *,
        bot_id: str,
        max_lanes: int,
        neighbours: Neighbours | None = None,
    ) -> None:
        self.max_lanes = max_lanes
        self.open = 0
        """Items put and not yet handled, those being handled included."""
        self.places = Places(neighbours)
        self._group = group
        self._handle = handle
        self._bot_id = bot_id
        self._lanes: dict[str, deque[Item]] = {}
        self._waiting: deque[str] = deque()
        self._runners = 0
        """Runners at work; those that are parked, or aside, are not counted."""
        self._parked: list[asyncio.Future[bool]] = []
        self._handling = 0
        self._stopping = False
        self._changed: anyio.Event | None = None

    def put(self, lane: str, item: Item) -> None:
        """Queue an item behind the others of its lane. Never waits."""
        self.open += 1
        queue = self._lanes.get(lane)
        if queue is not None:
            queue.append(item)
            return
        self._lanes[lane] = deque((item,))
        self._waiting.append(lane)
        if self._runners < self.max_lanes:
            self._add_runner()

    def resize(self, max_lanes: int) -> None:
        """Allow another number of lanes at once; what is being handled is finished."""
        self.max_lanes = max_lanes
        for _ in range(min(len(self._waiting), max_lanes - self._runners)):
            self._add_runner()
        self._note_change()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let another lane have this one's place for the length of the block: a long wait is no work.

        To be called by `handle`. The lane keeps its order; beyond max_lanes a few may work for a moment when the
        block ends.
        """
        self._runners -= 1
        if self._waiting:
            self._add_runner()
        try:
            yield
        finally:
            self._runners += 1

    def stop(self) -> None:
        """Begin no more items; those being handled are finished."""
        self._stopping = True
        self.rest()
        self._note_change()

    def rest(self) -> None:
        """Let go of the runners that are out of work. To be called when nothing new has come for a while."""
        while self._parked:
            _set(self._parked.pop(), go_on=False)

    async def wait_idle(self) -> None:
        """Wait until nothing is being handled, and nothing waits either unless stopped."""
        while self._handling or (self._waiting and not self._stopping):
            await self.wait_change()

    async def wait_change(self) -> None:
        """Wait until an item is done, or until the lanes are resized or stopped."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def heads(self) -> Iterator[Item]:
        """Return the oldest open item of each lane."""
        return (queue[0] for queue in self._lanes.values())

    def behind(self, lane: str) -> Iterator[Item]:
        """Return what waits in a lane behind the item being handled."""
        return islice(self._lanes.get(lane, ()), 1, None)

    def items(self) -> Iterator[Item]:
        """Return every open item."""
        return (item for queue in self._lanes.values() for item in queue)

    def _add_runner(self) -> None:
        if self._stopping:
            return
        self._runners += 1
        if self._parked:
            _set(self._parked.pop(), go_on=True)
        else:
            self._group.start_soon(self._run, name=f"{self._bot_id}/lane {self._waiting[-1]}")

    async def _run(self) -> None:
        task, named, at_work = asyncio.current_task(), "", True
        try:
            while at_work:
                while self._waiting and not self._stopping and self._runners <= self.max_lanes:
                    lane = self._waiting.popleft()
                    if lane != named and task is not None:
                        task.set_name(f"{self._bot_id}/lane {lane}")  # who blocks the loop is told by this name
                        named = lane
                    await self._work(lane)
                at_work = False
                self._runners -= 1
                at_work = await self._park()
        finally:
            if at_work:
                self._runners -= 1
            self._note_change()

    async def _park(self) -> bool:
        """Wait for work; True when there is some, and this runner is counted again. False when it is to end."""
        if self._stopping or len(self._parked) >= MAX_PARKED:
            return False
        work = asyncio.get_running_loop().create_future()
        self._parked.append(work)
        return bool(await work)

    async def _work(self, lane: str) -> None:
        queue = self._lanes[lane]
        self._handling += 1
        try:
            await self.places.take()
            try:
                # The item stays in its queue while it is handled: a lane with a queue is never started twice.
                await self._handle(queue[0])
            finally:
                self.places.give()
        finally:
            self._handling -= 1
        queue.popleft()
        self.open -= 1
        if queue:
            self._waiting.append(lane)
        else:
            del self._lanes[lane]
        if self._changed is not None:
            self._note_change()

    def _note_change(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


def _set(future: asyncio.Future[bool], *, go_on: bool) -> None:
    if not future.done():  # it is, when its task was cancelled
        future.set_result(go_on)
