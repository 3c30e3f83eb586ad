"""Log lines and events by their numbers: whoever comes back names the last one it has, and misses nothing that is still kept.

They are read from the store as soon as they are written there, a few at a time: a slow reader holds nothing up and loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from console.answers import EventLine, LogLine
from console.records import Records
from console.rows import event_line, log_line
from store.journal import EventRow
from store.logs import LogRow
from workers.clock import Clock

if TYPE_CHECKING:
    from console.runtime import Fleet
    from workers.logbook import Line

R = TypeVar("R", EventRow, LogRow)
L = TypeVar("L")
Ring = Callable[[], None]

BATCH: Final = 500
GATHER_S: Final = 0.1
"""How long is waited for more once something has happened: one read for many rows."""


class Journals:
    """What a fleet wrote down, from a number on, and what it writes down next."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.kept = Records(fleet)
        """What is there at the moment, of partitions named exactly."""

    async def events(
        self, bot_id: str = "", kinds: Sequence[str] = (), *, after: int | None = None, tail: int = 0
    ) -> AsyncGenerator[tuple[int, EventLine]]:
        """Return an iterator over (number, event) of one bot ("" = of all and the fleet), which goes on until it is closed.

        Those behind the number `after`; without one the last `tail`, then what comes from now on. kinds: none = all.
        """
        fleet = self._fleet
        known = None if not bot_id else fleet.store.partition(bot_id).events

        async def read(limit: int, after_id: int) -> list[EventRow]:
            await fleet.journal.flush()
            if known is not None:
                return await known.tail(limit, after_id, kinds)
            return await fleet.store.tail_events(limit, after_id, kinds)

        there, last = await _there(read, _event_id, after, tail)
        rows = _followed(read, _event_id, self._rung_by_events, fleet.clock, there, last)
        return _numbered(rows, _event_id, event_line)

    async def logs(
        self, bot_id: str = "", min_level: int = 0, *, after: int | None = None, tail: int = 0
    ) -> AsyncGenerator[tuple[int, LogLine]]:
        """Return an iterator over (number, log line), as `events` does."""
        fleet = self._fleet
        known = None if not bot_id else fleet.store.partition(bot_id).logs

        async def read(limit: int, after_id: int) -> list[LogRow]:
            await fleet.flush_logs()
            if known is not None:
                return await known.tail(limit, min_level=min_level, after_id=after_id)
            return await fleet.store.tail_logs(limit, after_id, min_level=min_level)

        there, last = await _there(read, _log_id, after, tail)
        rows = _followed(read, _log_id, self._rung_by_logs, fleet.clock, there, last)
        return _numbered(rows, _log_id, log_line)

    @contextmanager
    def _rung_by_events(self, ring: Ring) -> Iterator[None]:
        with self._fleet.bus.subscribe(1) as subscription:
            listening = asyncio.ensure_future(_listen(subscription.batch, ring))
            try:
                yield
            finally:
                listening.cancel()

    @contextmanager
    def _rung_by_logs(self, ring: Ring) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def rung(_: Line) -> None:
            loop.call_soon_threadsafe(ring)

        with self._fleet.logbook.follow(rung):
            yield


async def _listen(news: Callable[[], Awaitable[object]], ring: Ring) -> None:
    while True:
        await news()
        ring()


def _event_id(row: EventRow) -> int:
    return row.event_id


def _log_id(row: LogRow) -> int:
    return row.log_id


async def _there(
    read: Callable[[int, int], Awaitable[list[R]]], number: Callable[[R], int], after: int | None, tail: int
) -> tuple[list[R], int]:
    """Return the rows to begin with, and the number to go on from."""
    if after is not None:
        return [], after
    found = await read(tail or 1, 0)
    return (found if tail else []), (number(found[-1]) if found else 0)


async def _followed(
    read: Callable[[int, int], Awaitable[list[R]]],
    number: Callable[[R], int],
    rung: Callable[[Ring], AbstractContextManager[None]],
    clock: Clock,
    there: list[R],
    last: int,
) -> AsyncGenerator[R]:
    """Yield rows from the store: those there are, then new ones whenever it rings."""
    for row in there:
        yield row
    news = asyncio.Event()
    with rung(news.set):
        while True:
            news.clear()
            # Nothing has a number below one: an empty journal is read from its beginning.
            rows = await read(BATCH, last or 1)
            for row in rows:
                last = number(row)
                yield row
            if len(rows) < BATCH:
                await news.wait()
                await clock.sleep(GATHER_S)


async def _numbered(
    rows: AsyncGenerator[R], number: Callable[[R], int], line: Callable[[R], L]
) -> AsyncGenerator[tuple[int, L]]:
    async with aclosing(rows):
        async for row in rows:
            yield number(row), line(row)
