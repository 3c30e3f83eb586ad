"""The event bus: past facts from workers to whoever listens, never waiting for a listener."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio

from store.events import Event


class Subscription:
    """A bounded window on the bus: when it is full the oldest events are dropped and counted in `missed`."""

    def __init__(self, capacity: int) -> None:
        self._events: deque[Event] = deque()
        self._capacity = capacity
        self._arrived = anyio.Event()
        self.missed = 0

    def push(self, event: Event) -> None:
        """Take an event, dropping the oldest when full."""
        if len(self._events) >= self._capacity:
            self._events.popleft()
            self.missed += 1
        self._events.append(event)
        self._arrived.set()

    def take(self) -> list[Event]:
        """Return all events at hand, without waiting."""
        taken = list(self._events)
        self._events.clear()
        self._arrived = anyio.Event()
        return taken

    async def batch(self) -> list[Event]:
        """Wait for at least one event, return all at hand. Cancelling loses none."""
        while not self._events:
            await self._arrived.wait()
        return self.take()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            for event in await self.batch():
                yield event


class Bus:
    """Delivers each published event to every subscription. Publishing never blocks and never fails."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def publish(self, event: Event) -> None:
        """Hand an event to everybody who listens."""
        for subscription in self._subscriptions:
            subscription.push(event)

    @contextmanager
    def subscribe(self, capacity: int = 1024) -> Iterator[Subscription]:
        """Listen for the length of the block."""
        subscription = Subscription(capacity)
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
