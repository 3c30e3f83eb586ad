"""What was written down: log lines and events, as JSON lines, with `follow=true` for ever.

With `Accept: text/event-stream` they come as server-sent events, for ever too: who comes back names the last one it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from console.control import EventQuery, LogQuery
from console.errors import BadRequest
from console.journals import Journals
from console.thinning import thinned
from console.web.auth import READ
from console.web.routes.access import Moment, Number, TheClock, TheControl, TheJournals
from console.web.routes.tails import Accept, LastEvent, number_of, sent
from console.web.stream import SSE, ndjson, sse

router = APIRouter(tags=["journal"])

Words = Annotated[list[str], Query(default_factory=list)]
Tail = Annotated[int, Query(ge=0, le=100_000)]


@router.get("/logs", dependencies=[READ])
async def logs(
    control: TheControl,
    journals: TheJournals,
    clock: TheClock,
    bots: Words,
    tail: Tail = 100,
    since: Moment = 0.0,
    min_level: Number = 0,
    pattern: str = "",
    before: Moment = 0.0,
    follow: bool = False,
    accept: Accept = "",
    last_event_id: LastEvent = "",
) -> StreamingResponse:
    """Return or follow log lines."""
    if SSE in accept:
        lines = await journals.logs(await _one(journals, bots), min_level, after=number_of(last_event_id), tail=tail)
        return sse(sent(lines, "log"), clock)
    query = LogQuery(tuple(bots), tail, since, min_level, pattern, before)
    if not follow:
        return ndjson(_each(await control.logs(query)), clock)
    # What is refused has a status of its own: a stream could but break off.
    await control.logs(replace(query, tail=0))
    return ndjson(control.follow_logs(query), clock)


@router.get("/events", dependencies=[READ])
async def events(
    control: TheControl,
    journals: TheJournals,
    clock: TheClock,
    bots: Words,
    kinds: Words,
    tail: Tail = 100,
    since: Moment = 0.0,
    before: Moment = 0.0,
    follow: bool = False,
    accept: Accept = "",
    last_event_id: LastEvent = "",
) -> StreamingResponse:
    """Return or follow events."""
    if SSE in accept:
        lines = await journals.events(await _one(journals, bots), kinds, after=number_of(last_event_id), tail=tail)
        return sse(sent(lines, "event"), clock)
    query = EventQuery(tuple(bots), tail, since, tuple(kinds), before)
    if not follow:
        return ndjson(_each(await control.events(query)), clock)
    await control.events(replace(query, tail=0))  # as above
    return ndjson(control.follow_events(query), clock)


@router.get("/feed", dependencies=[READ])
async def feed(control: TheControl, clock: TheClock, thin: bool = False) -> StreamingResponse:
    """Follow the fleet: all of it first, then the rows that change; with `thin=true` only the values of them that did."""
    return ndjson(thinned(control.feed()) if thin else control.feed(), clock)


async def _one(journals: Journals, bots: list[str]) -> str:
    """Return the bot whose lines are to be streamed, "" for all. Raises NoSuchBot, BadRequest for several of them."""
    if not bots:
        return ""
    named = await journals.kept.named(bots)
    if len(named) != 1:
        raise BadRequest("a stream of events is of one bot, or of all", "name one, or none")
    return named[0]


async def _each(lines: Iterable[Any]) -> AsyncIterator[Any]:
    for line in lines:
        yield line
