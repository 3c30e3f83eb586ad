"""Where the questions asked of a bot wait: one at a time in a conversation, some at once of all, no more than allowed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from workers.errors import QueueFull, RateLimitError
from workers.places import Places
from workers.reception.limits import RateLimits

if TYPE_CHECKING:
    from config.schema import LimitsSection
    from workers.chat.question import Question

LONGEST_QUEUE: Final = 32
"""Questions that may wait in one conversation."""

Talk = tuple[str, str]
"""(client_id, conversation_id)."""


class Line:
    """So many at once; the others wait, first come, first served. Who gives up leaves no trace. Belongs to one loop."""

    __slots__ = ("_count", "_queue", "_under_way")

    def __init__(self, count: int) -> None:
        self._count = count
        self._under_way = 0
        self._queue: deque[asyncio.Future[None]] | None = None
        """Made when the first has to wait: an empty one is 760 bytes."""

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue) if self._queue else 0

    @property
    def idle(self) -> bool:
        """Whether nobody is there."""
        return not self._under_way and not self._queue

    def resize(self, count: int) -> None:
        """Let so many in at once from now on."""
        self._count = count
        self._call()

    async def __aenter__(self) -> None:
        """Wait to be let in; at once where there is room. Safe to cancel."""
        if self._under_way < self._count and not self._queue:
            self._under_way += 1
            return
        turn = asyncio.get_running_loop().create_future()
        if self._queue is None:
            self._queue = deque()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._leave()  # it was let in at the same moment
            elif turn in self._queue:
                self._queue.remove(turn)
            raise

    async def __aexit__(self, *_: object) -> None:
        """Leave, and let the next one in."""
        self._leave()

    def _leave(self) -> None:
        self._under_way -= 1
        self._call()

    def _call(self) -> None:
        while self._queue and self._under_way < self._count:
            turn = self._queue.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)


class Desk:
    """The questions of one bot, of however many `Bot` objects: its configuration may be exchanged while some wait."""

    __slots__ = ("__weakref__", "_limits", "_open", "_section", "_talks", "at_once", "places")

    def __init__(self) -> None:
        self.places = Places()
        """Who computes; see there. Programs ask as fast as `[limits]` lets them."""
        self.at_once = Line(1)
        """Whose model is asked: `[limits] max_lanes`. Who reads an answer slowly does not count."""
        self._talks: dict[Talk, Line] = {}
        self._open = 0
        self._section: LimitsSection | None = None
        self._limits: RateLimits | None = None

    def __len__(self) -> int:
        """Return how many questions wait or are being answered."""
        return self._open

    @property
    def talks(self) -> int:
        """How many conversations are spoken in."""
        return len(self._talks)

    @asynccontextmanager
    async def seat(self, question: Question, limits: LimitsSection, now: float) -> AsyncIterator[None]:
        """Have a question's turn for the length of the block; now is monotonic.

        It waits until nobody else speaks in its conversation. Raises RateLimitError for one too many, which is then not
        counted. Safe to cancel.
        """
        self._admit(question, limits, now)
        self._open += 1
        try:
            async with self.alone((question.client_id, question.conversation_id)):
                yield
        finally:
            self._open -= 1

    @asynccontextmanager
    async def alone(self, talk: Talk) -> AsyncIterator[None]:
        """Have a conversation to oneself for the length of the block. Raises QueueFull. Safe to cancel."""
        line = self._talks.get(talk)
        if line is None:
            line = self._talks[talk] = Line(1)
        elif line.waiting >= LONGEST_QUEUE:
            raise QueueFull("chat", LONGEST_QUEUE)
        try:
            async with line:
                yield
        finally:
            if line.idle and self._talks.get(talk) is line:  # the one before may have seen that nobody is left
                del self._talks[talk]

    def _admit(self, question: Question, limits: LimitsSection, now: float) -> None:
        if limits is not self._section:
            self._apply(limits)
        if self._open >= limits.max_open_updates:
            raise QueueFull("bot", limits.max_open_updates)
        talk = self._talks.get((question.client_id, question.conversation_id))
        if talk is not None and talk.waiting >= LONGEST_QUEUE:
            raise QueueFull("chat", LONGEST_QUEUE)  # before it counts for the limits
        if self._limits is not None and (refusal := self._refusal(self._limits, question, now)) is not None:
            raise refusal

    def _apply(self, limits: LimitsSection) -> None:
        self._section = limits
        self.at_once.resize(limits.max_lanes)
        if self._limits is None:
            self._limits = RateLimits(limits)
        else:
            self._limits.apply(limits)
        if self._limits.off:
            self._limits = None

    @staticmethod
    def _refusal(limits: RateLimits, question: Question, now: float) -> RateLimitError | None:
        client, chat = question.client_id, (question.client_id, question.conversation_id)
        user = (client, question.user_id) if question.user_id else chat
        return limits.admit(user, chat, now, client=client)


class Desks:
    """The desks of a process, one a bot; there as long as somebody holds it."""

    __slots__ = ("_desks",)

    def __init__(self) -> None:
        self._desks: WeakValueDictionary[str, Desk] = WeakValueDictionary()

    def of(self, bot_id: str) -> Desk:
        """Return the desk of a bot. Hold on to it: what it counts is forgotten when nobody does."""
        desk = self._desks.get(bot_id)
        if desk is None:
            desk = self._desks[bot_id] = Desk()
        return desk
