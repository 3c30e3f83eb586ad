"""What a running fleet wrote down, and what it writes down now: log lines and events, queried and followed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from config.vocabulary import FLEET
from console.control import EventLine, EventQuery, LogLine, LogQuery, selection, sources
from console.rows import event_line, event_matcher, line_of, log_line, log_matcher, written
from workers.logbook import Line

if TYPE_CHECKING:
    from console.runtime import Fleet

T = TypeVar("T", LogLine, EventLine)

SCAN_LINES: Final = 20_000
"""Newest stored lines of one bot that a pattern is searched in."""
BACKLOG: Final = 4096
"""Lines kept for a follower that is slower than the fleet; older ones are dropped, and it is told."""


class Feed(Generic[T]):
    """A bounded queue from any thread to one follower."""

    def __init__(self) -> None:
        self._lines: deque[T] = deque()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self.missed = 0

    def push(self, line: T) -> None:
        """Take a line; any thread may."""
        self._loop.call_soon_threadsafe(self._take_in, line)

    def _take_in(self, line: T) -> None:
        if len(self._lines) >= BACKLOG:
            self._lines.popleft()
            self.missed += 1
        self._lines.append(line)
        self._news.set()

    def take(self) -> list[T]:
        """Return the lines at hand."""
        lines = list(self._lines)
        self._lines.clear()
        self._news.clear()
        return lines

    async def batch(self) -> list[T]:
        """Wait for lines. Cancelling loses none."""
        await self._news.wait()
        return self.take()


class Records:
    """Log lines and events of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def stored_ids(self) -> list[str]:
        """Return the folder's bots and all that have rows: registered ones, and those taken out."""
        return sorted({*await self._fleet.store.bot_ids(), *self._fleet.pool.bot_ids()})

    async def named(self, selectors: Sequence[str]) -> list[str]:
        """Return the partitions that bot ids and globs stand for; for none of them all, the fleet's too. Raises NoSuchBot."""
        return sources(selectors, await self.stored_ids())

    async def logs(self, query: LogQuery) -> list[LogLine]:
        """As Control.logs."""
        log_matcher(query)
        return await self.logs_of(await self.named(query.bots), query)

    async def logs_of(self, names: Sequence[str], query: LogQuery) -> list[LogLine]:
        """Return what a query asks for, of these partitions. Raises BadRequest."""
        matches = log_matcher(query)
        if not query.tail:
            return []
        await self._fleet.flush_logs()
        limit = SCAN_LINES if query.pattern else query.tail
        lines: list[LogLine] = []
        for name in names:
            rows = await self._fleet.store.partition(name).logs.tail(
                limit,
                since_ms=int(query.since * 1000),
                before_ms=int(query.before * 1000),
                min_level=query.min_level,
            )
            lines += filter(matches, map(log_line, rows))
        return last(lines, query.tail)

    async def follow_logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """As Control.follow_logs."""
        matches, chosen = log_matcher(query), selection(query.bots)
        feed: Feed[LogLine] = Feed()

        def push(line: Line) -> None:
            if not chosen(line.bot_id):
                return  # of a fleet that writes thousands of lines a second a reader wants those of one bot
            row = written(line)
            if matches(row):
                feed.push(row)

        with self._fleet.logbook.follow(push):
            known = await self.logs(query)
            for line in known:
                yield line
            async for line in live(feed, known):
                yield line
                if feed.missed:
                    yield self._gap(feed)

    def _gap(self, feed: Feed[LogLine]) -> LogLine:
        text = f"{feed.missed} lines were left out: the reader is slower than the fleet"
        feed.missed = 0
        at = self._fleet.clock.now()
        return {"bot_id": FLEET, "at": at, "level": "warning", "logger": __name__, "text": text, "exception": ""}

    async def events(self, query: EventQuery) -> list[EventLine]:
        """As Control.events."""
        return await self.events_of(await self.named(query.bots), query)

    async def events_of(self, names: Sequence[str], query: EventQuery) -> list[EventLine]:
        """Return what a query asks for, of these partitions."""
        if not query.tail:
            return []
        await self._fleet.journal.flush()
        lines: list[EventLine] = []
        for name in names:
            rows = await self._fleet.store.partition(name).events.tail(
                query.tail, since_ms=int(query.since * 1000), before_ms=int(query.before * 1000), kinds=query.kinds
            )
            lines += map(event_line, rows)
        return last(lines, query.tail)

    async def follow_events(self, query: EventQuery) -> AsyncIterator[EventLine]:
        """As Control.follow_events."""
        matches, chosen = event_matcher(query), selection(query.bots)
        with self._fleet.bus.subscribe(BACKLOG) as subscription:
            known = await self.events(query)
            for line in known:
                yield line
            first = True
            while True:
                news = [event for event in await subscription.batch() if chosen(event.bot_id)]
                batch = list(filter(matches, map(line_of, news)))
                for line in without(batch, known) if first else batch:
                    yield line
                first = False


async def live(feed: Feed[T], known: list[T]) -> AsyncIterator[T]:
    """Yield the lines of a feed as they come; those that were in the backlog already are left out of the first."""
    for line in without(feed.take(), known):
        yield line
    while True:
        for line in await feed.batch():
            yield line


def without(lines: list[T], known: list[T]) -> list[T]:
    """Return lines that are not among the known ones."""
    return [line for line in lines if line not in known]


def last(lines: list[T], count: int) -> list[T]:
    """Return the newest lines of several bots, oldest first; count is 1 or more."""
    lines.sort(key=lambda line: line["at"])
    return lines[-count:]
