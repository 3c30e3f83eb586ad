"""What a running fleet wrote down, and what it writes down now: log lines and events, queried and followed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from config.vocabulary import FLEET
from console.control import EventLine, EventQuery, LogLine, LogQuery, sources
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

    def __init__(self, fleet: Fleet, known: Callable[[], Sequence[str]]) -> None:
        self._fleet = fleet
        self._known = known

    async def stored_ids(self) -> list[str]:
        """Return the bots that have, or had, rows: registered ones and those whose file was removed included."""
        return sorted({*await self._fleet.store.bot_ids(), *self._known()})

    async def logs(self, query: LogQuery) -> list[LogLine]:
        """As Control.logs."""
        log_matcher(query)
        return await self.logs_of(sources(query.bots, await self.stored_ids()), query)

    async def logs_of(self, names: Sequence[str], query: LogQuery) -> list[LogLine]:
        """Return what a query asks for, of these partitions. Raises BadRequest."""
        matches = log_matcher(query)
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

    def follow_logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """As Control.follow_logs. Raises at once for a bad query."""
        matches = log_matcher(query)
        chosen = frozenset(sources(query.bots, self._known())) if query.bots else None
        return self._follow_logs(query, chosen, matches)

    async def _follow_logs(
        self, query: LogQuery, chosen: frozenset[str] | None, matches: Callable[[LogLine], bool]
    ) -> AsyncIterator[LogLine]:
        feed: Feed[LogLine] = Feed()

        def push(line: Line) -> None:
            if chosen is not None and line.bot_id not in chosen:
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
        return await self.events_of(sources(query.bots, await self.stored_ids()), query)

    async def events_of(self, names: Sequence[str], query: EventQuery) -> list[EventLine]:
        """Return what a query asks for, of these partitions."""
        await self._fleet.journal.flush()
        lines: list[EventLine] = []
        for name in names:
            rows = await self._fleet.store.partition(name).events.tail(
                query.tail, since_ms=int(query.since * 1000), before_ms=int(query.before * 1000), kinds=query.kinds
            )
            lines += map(event_line, rows)
        return last(lines, query.tail)

    def follow_events(self, query: EventQuery) -> AsyncIterator[EventLine]:
        """As Control.follow_events. Raises at once for a bad query."""
        matches = event_matcher(query)
        chosen = frozenset(sources(query.bots, self._known())) if query.bots else None
        return self._follow_events(query, lambda line: (chosen is None or line["bot_id"] in chosen) and matches(line))

    async def _follow_events(self, query: EventQuery, wanted: Callable[[EventLine], bool]) -> AsyncIterator[EventLine]:
        with self._fleet.bus.subscribe(BACKLOG) as subscription:
            known = await self.events(query)
            for line in known:
                yield line
            first = True
            while True:
                batch = [line for line in map(line_of, await subscription.batch()) if wanted(line)]
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
    """Return the newest lines of several bots, oldest first."""
    lines.sort(key=lambda line: line["at"])
    return lines[-count:] if count else []
