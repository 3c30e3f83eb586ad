"""What was written down: log lines and events, as JSON lines, with `follow=true` for ever.

With `Accept: text/event-stream` they come as server-sent events, for ever too: who comes back names the last one it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from console.control import EventQuery, LogQuery
from console.errors import BadRequest
from console.tenants import Tenants
from console.thinning import thinned
from console.web.auth import READ
from console.web.routes.access import Moment, Number, TheClock, TheControl, TheJournals, TheTenants
from console.web.routes.tails import Accept, LastEvent, number_of, sent
from console.web.stream import SSE, ndjson, sse

router = APIRouter(tags=["journal"])

Words = Annotated[list[str], Query(default_factory=list)]
Tail = Annotated[int, Query(ge=0, le=100_000)]


@router.get("/logs", dependencies=[READ])
async def logs(
    control: TheControl,
    tenants: TheTenants,
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
        lines = await journals.logs(await _one(tenants, bots), min_level, after=number_of(last_event_id), tail=tail)
        return sse(sent(lines, "log"), clock)
    query = LogQuery(tuple(bots), tail, since, min_level, pattern, before)
    return ndjson(control.follow_logs(query) if follow else _each(await control.logs(query)), clock)


@router.get("/events", dependencies=[READ])
async def events(
    control: TheControl,
    tenants: TheTenants,
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
        lines = await journals.events(await _one(tenants, bots), kinds, after=number_of(last_event_id), tail=tail)
        return sse(sent(lines, "event"), clock)
    query = EventQuery(tuple(bots), tail, since, tuple(kinds), before)
    return ndjson(control.follow_events(query) if follow else _each(await control.events(query)), clock)


@router.get("/feed", dependencies=[READ])
async def feed(control: TheControl, clock: TheClock, thin: bool = False) -> StreamingResponse:
    """Follow the fleet: all of it first, then the rows that change; with `thin=true` only the values of them that did."""
    return ndjson(thinned(control.feed()) if thin else control.feed(), clock)


async def _one(tenants: Tenants, bots: list[str]) -> str:
    """Return the bot whose lines are to be streamed, "" for all. Raises NoSuchBot, BadRequest for some of them."""
    if len(bots) > 1:
        raise BadRequest("a stream of events is of one bot, or of all", "name one, or none")
    return await tenants.journaled(bots[0]) if bots else ""


async def _each(lines: Iterable[Any]) -> AsyncIterator[Any]:
    for line in lines:
        yield line
