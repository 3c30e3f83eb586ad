"""How much a request may say: more is refused before it is held in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.web.errors import http_error

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""Through the control socket: a file of a bot has 1 MiB at most, and each of its characters may take six in JSON."""


class Bounds:
    """The layer around an application that ends a request with 413 once its body is too long.

    limit gives the bytes a request over TCP may have.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[], int]) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MAX_BODY_BYTES if "principal" in scope.get("state", {}) else self._limit()
        refusal = HTTPException(413, f"its body is longer than {most >> 10} KB")
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            await _read_away(receive, 2 * most)
            await (await http_error(Request(scope), refusal))(scope, receive, send)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise refusal
            return message

        await self._app(scope, bounded, send)


async def _read_away(receive: Receive, most: int) -> None:
    """Take a body without keeping it: a client that is answered while it still sends may lose the answer."""
    taken, more = 0, True
    while more and taken <= most:
        message = await receive()
        taken += len(message.get("body", b""))
        more = message.get("more_body", False)
