"""The server's queue of one bot's updates: kept until acknowledged, handed out by one long poll at a time.

The rules are the real server's: an offset forgets everything below it in that same call; one that lies more than ten
above the newest id is taken for a stranger's and the queue is read from its head; a negative one keeps that many of
the newest; updates live 24 hours.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

import anyio

from console.sandbox.answers import EMPTY_LIST, Refused, Reply
from workers.clock import Clock

MAX_TIMEOUT_S: Final = 50
LIFETIME_S: Final = 86_400
FUTURE_SLACK: Final = 10

TERMINATED: Final = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
TERMINATED_BY_WEBHOOK: Final = "Conflict: terminated by setWebhook request"
RESTARTING: Final = "Internal Server Error: restart"


class Waiting(NamedTuple):
    """One update in the queue, as the JSON that goes out."""

    update_id: int
    body: bytes
    at: float


class Poll:
    """A long poll in flight."""

    __slots__ = ("refusal", "woken")

    def __init__(self) -> None:
        self.woken = anyio.Event()
        self.refusal: Refused | None = None


class UpdateQueue:
    """Updates of one bot in order of arrival."""

    __slots__ = ("_clock", "_last_at", "_last_offset", "_poll", "acknowledged", "conflicts", "next_id", "waiting")

    def __init__(self, clock: Clock, first_id: int) -> None:
        self._clock = clock
        self._poll: Poll | None = None
        self._last_offset: int | None = None
        self._last_at = 0.0
        self.waiting: deque[Waiting] = deque()
        self.next_id = first_id
        self.acknowledged = 0
        self.conflicts = 0

    def add(self, fragment: str) -> int:
        """Queue an update given as JSON members without braces; return its id."""
        update_id = self.next_id
        self.put(update_id, f'{{"update_id":{update_id},{fragment}}}')
        return update_id

    def put(self, update_id: int, body: str) -> None:
        """Queue a whole update as it is. Raises ValueError for an id that goes back while others wait."""
        if self.waiting and update_id < self.next_id:
            self._refuse_going_back()
        self.next_id = update_id + 1
        self.waiting.append(Waiting(update_id, body.encode(errors="replace"), self._clock.now()))
        if self._poll is not None:
            self._poll.woken.set()

    def jump(self, delta: int) -> None:
        """Go on counting elsewhere, downwards too, as the server does after a quiet week.

        Raises ValueError when going back while updates wait: the server never does that, its queue is empty then.
        """
        if delta < 0 and self.waiting:
            self._refuse_going_back()
        self.next_id = max(1, self.next_id + delta)

    def _refuse_going_back(self) -> None:
        raise ValueError("update ids go back only when nothing waits; wait until `pending` is 0")

    @property
    def polled(self) -> bool:
        """Whether a long poll waits at this moment."""
        return self._poll is not None

    async def get(self, offset: int, limit: int, timeout_s: int, *, pace_repeats: bool = False) -> Reply:
        """Answer getUpdates. Raises Refused (409) when another poll or a webhook ends this one."""
        if pace_repeats:
            limit, timeout_s = self._paced(offset, limit, timeout_s)
        batch = self._take(offset, limit)
        if batch or timeout_s <= 0:
            return _answer(batch)
        return await self._wait(offset, limit, timeout_s)

    def _paced(self, offset: int, limit: int, timeout_s: int) -> tuple[int, int]:
        """Slow a client that repeats itself: limit 1 within half a second, at least a 3 s poll within three."""
        now = self._clock.monotonic()
        age = now - self._last_at if offset == self._last_offset else 60.0
        self._last_offset, self._last_at = offset, now
        return (1 if age < 0.5 else limit), (max(timeout_s, 3) if age < 3.0 else timeout_s)

    async def _wait(self, offset: int, limit: int, timeout_s: int) -> Reply:
        self.end_poll(Refused(409, TERMINATED))
        poll = self._poll = Poll()
        try:
            with self._clock.deadline(min(timeout_s, MAX_TIMEOUT_S)):
                await poll.woken.wait()
        finally:
            if self._poll is poll:
                self._poll = None
        if poll.refusal is not None:
            raise poll.refusal
        return _answer(self._take(offset, limit))

    def end_poll(self, refusal: Refused) -> None:
        """End the poll in flight, if any, with a refusal."""
        if self._poll is not None:
            self.conflicts += refusal.code == 409
            self._poll.refusal = refusal
            self._poll.woken.set()
            self._poll = None

    def forget_all(self) -> None:
        """Drop everything that waits (drop_pending_updates)."""
        self.acknowledged += len(self.waiting)
        self.waiting.clear()

    def _take(self, offset: int, limit: int) -> list[bytes]:
        self._expire()
        if offset < 0:
            while len(self.waiting) > -offset:
                self._drop()
        elif offset <= self.next_id + FUTURE_SLACK:
            while self.waiting and self.waiting[0].update_id < offset:
                self._drop()
        if len(self.waiting) <= limit:
            return [update.body for update in self.waiting]
        return [self.waiting[place].body for place in range(limit)]

    def _drop(self) -> None:
        self.waiting.popleft()
        self.acknowledged += 1

    def _expire(self) -> None:
        if self.waiting:
            oldest = self._clock.now() - LIFETIME_S
            while self.waiting and self.waiting[0].at < oldest:
                self.waiting.popleft()


def _answer(batch: list[bytes]) -> Reply:
    if not batch:
        return EMPTY_LIST
    return Reply(200, b'{"ok":true,"result":[' + b",".join(batch) + b"]}")
