"""The outermost layer: every request has a name, every answer the headers that keep browsers careful.

The name is the client's own `X-Request-Id` where that is harmless. It goes back with the answer, stands in every log line that
is written on behalf of the request, and in the answer to a mistake of ours, whose text stays in the log.
"""

from __future__ import annotations

import logging
import re
import secrets
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.web.errors import unexpected
from workers.logbook import RequestMark, current_request

logger = logging.getLogger(__name__)

HEADER: Final = b"x-request-id"
CAREFUL: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_HARMLESS: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Requests:
    """The layer around an application that names its requests, and is the last to catch what they raise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _name(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        mark = RequestMark(request_id)
        current_request.set(mark)
        started = False

        async def named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = _with(message.get("headers", []), request_id)
            await send(message)

        try:
            await self._app(scope, receive, named)
        except Exception as error:
            if started:  # the connection is cut: a client must not take half an answer for a whole one
                raise
            logger.exception("%s %s failed", scope["method"], scope["path"])
            answer = await unexpected(Request(scope), error)
            await answer(scope, receive, named)
        finally:
            # What was begun on behalf of the request and goes on after it (a bot, a turn) is not named by it any more.
            mark.request_id = ""


def _name(scope: Scope) -> str:
    said = Headers(scope=scope).get("x-request-id", "")
    return said if _HARMLESS.fullmatch(said) else secrets.token_hex(8)


def _with(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    present = {name for name, _ in headers}
    return [*headers, *(one for one in CAREFUL if one[0] not in present), (HEADER, request_id.encode())]
