"""Answers that go on: one JSON document a line, and a heartbeat while there is nothing to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi.responses import StreamingResponse

from workers.clock import Clock

HEARTBEAT_S: Final = 5.0
# Made once, and without looking for circles, which our rows have none of: half the time of `json.dumps`.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def ndjson(lines: AsyncIterator[Any], clock: Clock) -> StreamingResponse:
    """Return a streaming answer; it ends with the lines, or when the client leaves."""
    return StreamingResponse(_encoded(lines, clock), media_type="application/x-ndjson")


async def _encoded(lines: AsyncIterator[Any], clock: Clock) -> AsyncIterator[bytes]:
    coming = asyncio.ensure_future(_next(lines))
    try:
        while True:
            with clock.deadline(HEARTBEAT_S):
                # Waiting is given up, what is waited for is not: no line is lost to a heartbeat.
                await asyncio.wait({coming})
            if not coming.done():
                yield _line({"heartbeat": clock.now()})
                continue
            line = coming.result()
            if line is None:
                return
            yield _line(line)
            coming = asyncio.ensure_future(_next(lines))
    finally:
        coming.cancel()


async def _next(lines: AsyncIterator[Any]) -> Any:
    return await anext(lines, None)


def encoded(document: Any) -> bytes:
    """Return plain rows as JSON; whatever stands in a text, half a character too, comes through."""
    return _ENCODER.encode(document).encode("ascii")


def _line(document: Any) -> bytes:
    return encoded(document) + b"\n"
