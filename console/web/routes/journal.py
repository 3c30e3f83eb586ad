"""What was written down: log lines and events, as JSON lines, with `follow=true` for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from console.control import EventQuery, LogQuery
from console.thinning import thinned
from console.web.routes.access import Moment, Number, TheClock, TheControl
from console.web.stream import ndjson

router = APIRouter(tags=["journal"])

Words = Annotated[list[str], Query(default_factory=list)]
Tail = Annotated[int, Query(ge=0, le=100_000)]


@router.get("/logs")
async def logs(
    control: TheControl,
    clock: TheClock,
    bots: Words,
    tail: Tail = 100,
    since: Moment = 0.0,
    min_level: Number = 0,
    pattern: str = "",
    before: Moment = 0.0,
    follow: bool = False,
) -> StreamingResponse:
    """Return or follow log lines."""
    query = LogQuery(tuple(bots), tail, since, min_level, pattern, before)
    return ndjson(control.follow_logs(query) if follow else _each(await control.logs(query)), clock)


@router.get("/events")
async def events(
    control: TheControl,
    clock: TheClock,
    bots: Words,
    kinds: Words,
    tail: Tail = 100,
    since: Moment = 0.0,
    before: Moment = 0.0,
    follow: bool = False,
) -> StreamingResponse:
    """Return or follow events."""
    query = EventQuery(tuple(bots), tail, since, tuple(kinds), before)
    return ndjson(control.follow_events(query) if follow else _each(await control.events(query)), clock)


@router.get("/feed")
async def feed(control: TheControl, clock: TheClock, thin: bool = False) -> StreamingResponse:
    """Follow the fleet: all of it first, then the rows that change; with `thin=true` only the values of them that did."""
    return ndjson(thinned(control.feed()) if thin else control.feed(), clock)


async def _each(lines: Iterable[Any]) -> AsyncIterator[Any]:
    for line in lines:
        yield line
