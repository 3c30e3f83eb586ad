"""One at a time for each id: whoever asks for what is being made waits for it, and it is made once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from workers.errors import BotClosed

T = TypeVar("T")
Make = Callable[[], Coroutine[Any, Any, T]]


class Flights(Generic[T]):
    """Makes things by id, each in a task of its own: a slow or failing one is nobody else's. Belongs to one event loop."""

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        """Return how many are being made."""
        return len(self._flights)

    def __contains__(self, key: str) -> bool:
        """Tell whether something is being made for an id."""
        return key in self._flights

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids of what is being made."""
        return iter(list(self._flights))

    async def join(self, key: str, make: Make[T]) -> T:
        """Return what is made for an id, by whoever asked first; raise what making it raised, to all who wait.

        What failed is forgotten: the next to ask tries again. Who gives up stops it for nobody. Raises BotClosed when it was
        given up by `close`.
        """
        flight = self._flights.get(key) or self._begin(key, make)
        await asyncio.wait((flight,))
        if flight.cancelled():
            raise BotClosed(f"{key} was given up while it was made", "ask again")
        return flight.result()

    async def renew(self, key: str, make: Make[T]) -> T:
        """Return what is made for an id from now on: what is under way already may know an older state. Raises as `join`."""
        flight = self._flights.get(key)
        if flight is not None:
            await asyncio.wait((flight,))
        return await self.join(key, make)

    async def landed(self, key: str) -> None:
        """Wait until nothing is being made for an id, however it ends."""
        while (flight := self._flights.get(key)) is not None:
            await asyncio.wait((flight,))

    async def close(self) -> None:
        """Give up whatever is being made, and wait for its end. Safe to call twice."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)

    def _begin(self, key: str, make: Make[T]) -> asyncio.Task[T]:
        flight = asyncio.create_task(make(), name=f"{key}/making")
        self._flights[key] = flight

        def ended(_: asyncio.Task[T]) -> None:
            # The first callback of the task: whoever waits for it finds it gone from here.
            del self._flights[key]
            if not flight.cancelled():
                flight.exception()  # looked at, also when nobody waits any more

        flight.add_done_callback(ended)
        return flight
