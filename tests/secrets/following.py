"""Whoever listens while everything goes wrong: what is told live, before any of it is written down."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio

from console.control import EventQuery, LogQuery
from tests.secrets import web
from tests.secrets.house import House

WATCHED: Final = ("conflict", "code-refuse", "model-quotes")
"""Bots whose own streams are followed."""


@asynccontextmanager
async def following(place: House) -> AsyncIterator[list[bytes]]:
    """Give what is heard for the length of the block: events, log lines and frames, by the socket and over HTTP."""
    control, heard = await place.control(), list[bytes]()

    async def listen(lines: AsyncIterator[Any]) -> None:
        async for line in lines:
            heard.append(json.dumps(line, ensure_ascii=False).encode())

    async with anyio.create_task_group() as group:
        group.start_soon(listen, control.follow_events(EventQuery(tail=0)))
        group.start_soon(listen, control.follow_logs(LogQuery(tail=0, min_level=10)))
        group.start_soon(listen, control.feed())
        group.start_soon(web.follow, place, web.STREAMS["feed"], heard)
        for name in WATCHED:
            for path in (web.STREAMS["logs"], web.STREAMS["events"]):
                group.start_soon(web.follow, place, f"/v1/bots/{name}{path}", heard)
        yield heard
        group.cancel_scope.cancel()
