"""How much is on the loop at once: of one bot's work, however many of its lanes are under way, and of long steps."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from math import inf
from types import TracebackType
from typing import Final

import anyio
import anyio.lowlevel

from workers.logbook import current_bot

AT_WORK: Final = 4
"""Turns of one bot that compute or commit at the same time. A step of another bot waits behind so many of them at most,
and the loop does no more at once however many lanes wait for a model or a server."""

PACE_S: Final = 0.015
"""Steps of one bot's turns begin so far apart on average, two of a turn: thirty turns a second, as many as Telegram takes
of a bot. Whoever has a thousand messages waiting leaves most of the loop to the others, where there are others."""

AT_ONCE: Final = 3
"""Steps that begin without any pace after a while of rest."""

ALONE_S: Final = 0.25
"""A bot takes its steps without any pace when no other has taken one for so long."""

BACK_S: Final = 3.0
"""Whoever comes back waits so long for a place, cancelled or not. Those who have one may be held up by a full disk."""

REST: Final = 8.0
"""Times what a long step took, for which the next one waits: an answer of somebody else takes a dozen turns of the loop, and
is to meet one of them at most."""

LONGEST_REST_S: Final = 0.05


class Neighbours:
    """The bots that take steps on one loop."""

    __slots__ = ("_last", "_since")

    def __init__(self) -> None:
        self._last: object = None
        self._since = -inf
        """Since when (loop time) nobody but the last has taken one."""

    def alone(self, who: object, now: float) -> bool:
        """Note a step; tell whether no other has taken one lately."""
        if self._last is not who:
            self._since = -inf if self._last is None else now
            self._last = who
        return now - self._since > ALONE_S


class Places:
    """At most AT_WORK have a place; the others wait for one, in order, and no more than a few are given at once.

    `take` and `give` frame the work. `async with places:` leaves the place to another for the length of the block, which
    waits for something outside, and comes back to one; an error, or who waits for longer than BACK_S, comes back if need be
    beyond the limit. So does, at once, who leaves by `with places:` and has little left to do. Safe to cancel. For the tasks
    of one bot. Without neighbours every place that is free is given.
    """

    __slots__ = ("_free", "_neighbours", "_next_at", "_pace_s", "_queue", "_timer")

    def __init__(self, neighbours: Neighbours | None = None, *, count: int = AT_WORK, pace_s: float = PACE_S) -> None:
        self._free = count
        self._neighbours = neighbours
        self._pace_s = pace_s
        self._next_at = 0.0
        """Loop time by which all steps so far would have been given at an even pace."""
        self._timer: asyncio.TimerHandle | None = None
        self._queue: deque[asyncio.Future[None]] | None = None
        """Made when the first has to wait: an empty one is 760 bytes, for every bot."""

    async def take(self) -> None:
        """Have a place; without waiting when one is free and not too many were given just now."""
        if self._take_now():
            return
        place = asyncio.get_running_loop().create_future()
        if self._queue is None:
            self._queue = deque()
        self._queue.append(place)
        self._call()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.give()  # it was given in the same moment
            raise

    def _take_now(self) -> bool:
        if self._free <= 0 or self._queue or self._early_s():
            return False
        self._free -= 1
        return True

    def give(self) -> None:
        """Let another have the place."""
        self._free += 1
        self._call()

    def _call(self) -> None:
        """Give those who wait what is free, as soon as the pace allows."""
        while self._queue and self._free > 0 and self._timer is None:
            if self._queue[0].done():
                self._queue.popleft()
            elif early_s := self._early_s():
                self._timer = asyncio.get_running_loop().call_later(early_s, self._due)
            else:
                self._free -= 1
                self._queue.popleft().set_result(None)

    def _due(self) -> None:
        self._timer = None
        self._call()

    def _early_s(self) -> float:
        """Count a step; or return for how long it is too early for one."""
        if self._neighbours is None:
            return 0.0
        now = asyncio.get_running_loop().time()
        if self._neighbours.alone(self, now):
            return 0.0
        early_s = self._next_at - now - (AT_ONCE - 1) * self._pace_s
        if early_s > 0:
            return early_s
        self._next_at = max(self._next_at, now) + self._pace_s
        return 0.0

    def __enter__(self) -> None:
        """Leave the place."""
        self.give()

    def __exit__(self, *_: object) -> None:
        """Be back."""
        self._free -= 1

    async def __aenter__(self) -> None:
        """Leave the place."""
        self.give()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Come back. Not even a cancelled scope interrupts it: what was waited for may have been paid for."""
        if kind is None and self._take_now():
            return
        back = False
        try:
            if kind is None:
                with anyio.move_on_after(BACK_S, shield=True):
                    await self.take()
                    back = True
        finally:
            if not back:
                self._free -= 1


class OneByOne:
    """Long steps that cannot be cut: `async with` lets one in at a time, the bots in turn, and others onto the loop before.

    The next is let in after a rest, REST times as long as the step took: however many wait, most of the loop is left to
    others. For what ends by itself, soon: a parse, a layout, a commit. Belongs to one event loop.
    """

    __slots__ = ("_began", "_busy", "_queues")

    def __init__(self) -> None:
        self._busy = False
        self._began = 0.0
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """Who waits, by bot: one that waits a hundred times is no sooner there than one that waits once."""

    async def __aenter__(self) -> None:
        """Come in. Safe to cancel."""
        if self._busy:
            turn = asyncio.get_running_loop().create_future()
            self._queues.setdefault(current_bot.get(), deque()).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._next()  # it was let in at the same moment
                raise
        self._busy = True
        entered = False
        try:
            await anyio.lowlevel.checkpoint()
            entered = True
        finally:
            if not entered:
                self._next()
        self._began = time.perf_counter()

    async def __aexit__(self, *_: object) -> None:
        """Let the next one in, after the rest."""
        rest_s = min(LONGEST_REST_S, REST * (time.perf_counter() - self._began))
        asyncio.get_running_loop().call_later(rest_s, self._next)

    def _next(self) -> None:
        while self._queues:
            bot_id = next(iter(self._queues))
            queue = self._queues.pop(bot_id)
            turn = queue.popleft()
            if queue:
                self._queues[bot_id] = queue  # behind the others
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False
