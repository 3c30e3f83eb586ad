"""Answers that go on: a JSON document a line, or server-sent events, and a heartbeat while there is nothing to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Self, TypeVar

import anyio
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from config.errors import FleetError
from workers.clock import Clock
from workers.encoding import as_text

T = TypeVar("T")

HEARTBEAT_S: Final = 5.0
SSE: Final = "text/event-stream"
_UNBUFFERED: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""What proxies in between must know: each piece is to be handed on at once."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One server-sent event: its name ("" = none), a JSON document, and what a client that comes back names ("" = nothing)."""

    event: str
    data: Any
    id: str = ""

    def encoded(self) -> bytes:
        """Return the event as it goes over the wire."""
        head = (f"id: {self.id}\n" if self.id else "") + (f"event: {self.event}\n" if self.event else "")
        return head.encode() + b"data: " + encoded(self.data) + b"\n\n"


class Beats(Generic[T]):
    """Things encoded as they come, and a heartbeat whenever nothing has come for HEARTBEAT_S.

    failed says how an error that comes after the first thing is told; without it the stream breaks off. `aclose` cancels
    what is waited for, and returns when that has ended.
    """

    def __init__(
        self,
        things: AsyncIterator[T],
        clock: Clock,
        encode: Callable[[T], bytes],
        heartbeat: bytes | Callable[[], bytes],
        failed: Callable[[FleetError], T] | None = None,
    ) -> None:
        self._things = things
        self._clock = clock
        self._encode = encode
        self._heartbeat = heartbeat
        self._failed = failed
        self._coming: asyncio.Future[T | None] | None = None
        self._over = False

    async def first(self) -> None:
        """Wait for the first thing, HEARTBEAT_S at most. Raises what goes wrong before it."""
        try:
            await self._wait()
        except BaseException:
            await self.aclose()
            raise
        if self._coming is not None and self._coming.done():
            self._coming.result()

    def __aiter__(self) -> Self:
        """Iterate, once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next thing, or a heartbeat."""
        if self._over:
            raise StopAsyncIteration
        coming = await self._wait()
        if not coming.done():
            return self._heartbeat if isinstance(self._heartbeat, bytes) else self._heartbeat()
        self._coming = None
        try:
            thing = coming.result()
        except FleetError as error:
            if self._failed is None:
                raise
            self._over = True
            return self._encode(self._failed(error))
        if thing is None:
            raise StopAsyncIteration
        return self._encode(thing)

    async def _wait(self) -> asyncio.Future[T | None]:
        """Wait for the next thing. Waiting is given up, what is waited for is not: nothing is lost to a heartbeat."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(_next(self._things))
        with self._clock.deadline(HEARTBEAT_S):
            await asyncio.wait({self._coming})
        return self._coming

    async def aclose(self) -> None:
        """End what is waited for. Safe to call twice; not to be cancelled."""
        with anyio.CancelScope(shield=True):
            if self._coming is not None:
                self._coming.cancel()
                await asyncio.gather(self._coming, return_exceptions=True)
            if isinstance(self._things, AsyncGenerator):
                await self._things.aclose()


class Flow(StreamingResponse):
    """An answer that goes on until its things end or the client leaves; then nothing of it is left at work."""

    def __init__(self, beats: Beats[Any], media_type: str) -> None:
        super().__init__(beats, media_type=media_type, headers=_UNBUFFERED)
        self._beats = beats

    async def begun(self) -> Self:
        """Return the answer once it has something to say, so that an error before that has a status of its own."""
        await self._beats.first()
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._beats.aclose()


def ndjson(lines: AsyncIterator[Any], clock: Clock) -> Flow:
    """Return a streaming answer; it ends with the lines, or when the client leaves."""
    beats = Beats(lines, clock, _line, lambda: _line({"heartbeat": clock.now()}))
    return Flow(beats, "application/x-ndjson")


def sse(events: AsyncIterator[Sent], clock: Clock, failed: Callable[[FleetError], Sent] | None = None) -> Flow:
    """Return a stream of server-sent events; a comment is the heartbeat. It ends with the events, or when the client leaves."""
    return Flow(Beats(events, clock, Sent.encoded, b": heartbeat\n\n", failed), SSE)


async def _next(things: AsyncIterator[T]) -> T | None:
    return await anext(things, None)


def encoded(document: Any) -> bytes:
    """Return plain rows as JSON; whatever stands in a text, half a character too, comes through."""
    return as_text(document).encode()


def _line(document: Any) -> bytes:
    return encoded(document) + b"\n"
