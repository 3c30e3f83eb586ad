"""The event bus: past facts from workers to whoever listens, never waiting for a listener."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, Final

import anyio

from store.events import KINDS, Event
from workers.redaction import by_shape

_TEXTS: Final = {
    kind: tuple(f.name for f in fields(kind) if f.name != "bot_id" and "str" in str(f.type)) for kind in KINDS.values()
}
"""What of each kind of event is text: nothing of the two that every message makes."""


class Subscription:
    """A bounded window on the bus: when it is full the oldest events are dropped and counted in `missed`.

    For one listener at a time. `push` is called by the bus, from the event loop's thread.
    """

    __slots__ = ("_arrived", "_capacity", "_events", "missed")

    def __init__(self, capacity: int) -> None:
        self._events: deque[Event] = deque()
        self._capacity = capacity
        self._arrived: anyio.Event | None = None
        self.missed = 0

    def __len__(self) -> int:
        return len(self._events)

    def push(self, event: Event) -> None:
        """Take an event, dropping the oldest when full."""
        if len(self._events) >= self._capacity:
            self._events.popleft()
            self.missed += 1
        self._events.append(event)
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None

    def take(self, limit: int | None = None) -> list[Event]:
        """Return the events at hand, oldest first, at most limit of them, without waiting."""
        if limit is None or limit >= len(self._events):
            taken = list(self._events)
            self._events.clear()
            return taken
        return [self._events.popleft() for _ in range(limit)]

    def put_back(self, events: Sequence[Event]) -> None:
        """Return events that were taken to their place before all that came since, as far as there is room."""
        room = max(0, self._capacity - len(self._events))
        self.missed += max(0, len(events) - room)
        self._events.extendleft(reversed(events[-room:] if room else ()))

    async def ready(self) -> None:
        """Wait until there is an event at hand. Cancelling is safe."""
        while not self._events:
            arrived = self._arrived = anyio.Event()
            await arrived.wait()

    async def batch(self) -> list[Event]:
        """Wait for at least one event, return all at hand. Cancelling loses none."""
        await self.ready()
        return self.take()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            await self.ready()
            yield self._events.popleft()


class Bus:
    """Delivers each published event to every subscription. Publishing never blocks and never fails.

    clean takes secrets out of what events say, before anybody hears it.
    """

    __slots__ = ("_clean", "_subscriptions")

    def __init__(self, clean: Callable[[str], str] = by_shape) -> None:
        self._clean = clean
        self._subscriptions: tuple[Subscription, ...] = ()

    def publish(self, event: Event) -> None:
        """Hand an event to everybody who listens."""
        texts = _TEXTS[type(event)]
        if texts:
            event = self._cleaned(event, texts)
        for subscription in self._subscriptions:
            subscription.push(event)

    @contextmanager
    def subscribe(self, capacity: int = 1024) -> Iterator[Subscription]:
        """Listen for the length of the block; at most capacity events wait for the listener."""
        subscription = Subscription(capacity)
        self._subscriptions = (*self._subscriptions, subscription)
        try:
            yield subscription
        finally:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)

    def _cleaned(self, event: Event, texts: tuple[str, ...]) -> Event:
        """Return an event without secrets, which is nearly always the same one."""
        said = {name: getattr(event, name) for name in texts}
        cleaned = {name: self._without(value) for name, value in said.items()}
        return event if cleaned == said else replace(event, **cleaned)

    def _without(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._clean(value)
        return tuple(map(self._without, value)) if isinstance(value, tuple) else value
