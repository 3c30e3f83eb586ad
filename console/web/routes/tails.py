"""What is written down of one bot, or of the fleet, as server-sent events: who comes back names the last one it has."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse, Response

from console.control import EventQuery, LogQuery
from console.errors import BadRequest
from console.web.auth import READ
from console.web.routes.access import Moment, Number, TheClock, TheJournals, TheTenants
from console.web.stream import SSE, Sent, sse

router = APIRouter(prefix="/bots/{bot_id}", tags=["journal"])

LARGEST: Final = 2**62
Accept = Annotated[str, Header()]
LastEvent = Annotated[str, Header(alias="last-event-id", max_length=32)]
Words = Annotated[list[str], Query(default_factory=list)]
Tail = Annotated[int, Query(ge=0, le=10_000)]
_STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A list; with `Accept: text/event-stream` those and all that come", "content": {SSE: {}}}
}


@router.get("/logs", dependencies=[READ], responses=_STREAMED)
async def logs(
    bot_id: str,
    tenants: TheTenants,
    journals: TheJournals,
    clock: TheClock,
    tail: Tail = 100,
    since: Moment = 0.0,
    before: Moment = 0.0,
    min_level: Number = 0,
    pattern: str = "",
    accept: Accept = "",
    last_event_id: LastEvent = "",
) -> Response:
    """Return the log lines of a bot, oldest first; `_fleet` is the fleet itself.

    Streamed, each line has an id: a reader that comes back with it as Last-Event-ID misses none that is still kept.
    """
    known = await tenants.journaled(bot_id)
    if SSE in accept:
        return _stream(await journals.logs(known, min_level, after=number_of(last_event_id), tail=tail), "log", clock)
    return JSONResponse(
        await journals.kept.logs_of([known], LogQuery((known,), tail, since, min_level, pattern, before))
    )


@router.get("/events", dependencies=[READ], responses=_STREAMED)
async def events(
    bot_id: str,
    tenants: TheTenants,
    journals: TheJournals,
    clock: TheClock,
    kinds: Words,
    tail: Tail = 100,
    since: Moment = 0.0,
    before: Moment = 0.0,
    accept: Accept = "",
    last_event_id: LastEvent = "",
) -> Response:
    """Return the events of a bot, oldest first; `_fleet` is the fleet itself. Streamed as logs are."""
    known = await tenants.journaled(bot_id)
    if SSE in accept:
        return _stream(await journals.events(known, kinds, after=number_of(last_event_id), tail=tail), "event", clock)
    return JSONResponse(await journals.kept.events_of([known], EventQuery((known,), tail, since, tuple(kinds), before)))


def number_of(last_event_id: str) -> int | None:
    """Return what a Last-Event-ID stands for, None for none. Raises BadRequest for what is none of ours."""
    if not last_event_id:
        return None
    if not (last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) < LARGEST):
        raise BadRequest("the Last-Event-ID is none of ours", "send the id of the last event that came")
    return int(last_event_id)


def _stream(lines: AsyncGenerator[tuple[int, Any]], event: str, clock: TheClock) -> Response:
    return sse(sent(lines, event), clock)


async def sent(lines: AsyncGenerator[tuple[int, Any]], event: str) -> AsyncIterator[Sent]:
    """Yield numbered lines as server-sent events."""
    async with aclosing(lines):
        async for number, line in lines:
            yield Sent(event, line, str(number))
