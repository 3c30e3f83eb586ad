"""Who comes in over TCP: by a name of ours, from a page that may, with a key that is good, and not too often.

What comes through the control socket has its principal already (the socket lets in nobody but the owner), and goes through.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import FleetError
from console.web import origins
from console.web.api import Api
from console.web.auth import NOBODY, Principal
from console.web.errors import AuthenticationError, RateLimitError, answer_of
from console.web.limits import AGAIN_S, Limits, Ticket
from workers.clock import Clock

logger = logging.getLogger(__name__)

STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers of a proxy: who is behind it is not on this machine, though the proxy is."""


class _StreamOverError(Exception):
    """Ends a stream whose client was told all it will be told."""


class Doorkeeper:
    """The layer around an application that says of every request who asks, and sends strangers away."""

    def __init__(self, app: ASGIApp, api: Api | None, public: Collection[str], clock: Clock) -> None:
        self._app = app
        self._api = api
        self._public = frozenset(public)
        self._limits = Limits(api.settings, clock) if api is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or "principal" in scope.setdefault("state", {}):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            if self._api is None or self._limits is None:
                raise AuthenticationError
            origin = origins.check(scope, headers, self._api.settings())
            if origin and origins.is_preflight(scope, headers):
                await origins.allow(origin, send)
                return
            send = origins.granting(origin, send) if origin else send
            principal = self._principal(self._api, self._limits, scope, headers)
            ticket = self._limits.enter(principal.key_id or _address(scope))
        except FleetError as error:
            await answer_of(Request(scope), error)(scope, receive, send)
            return
        scope["state"]["principal"] = principal
        with ticket:
            await self._let_in(self._api, ticket, scope, receive, send)

    async def _let_in(self, api: Api, ticket: Ticket, scope: Scope, receive: Receive, send: Send) -> None:
        key_id = scope["state"]["principal"].key_id

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_stream(message) and not ticket.stream():
                refusal = RateLimitError("too many streams at once", AGAIN_S)
                await answer_of(Request(scope), refusal)(scope, receive, send)
                raise _StreamOverError
            if ticket.streaming and key_id and not api.keys.good(key_id):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _StreamOverError
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except _StreamOverError:
            return

    def _principal(self, api: Api, limits: Limits, scope: Scope, headers: Headers) -> Principal:
        """Return who asks. Raises AuthenticationError for a key that is not good, and for none where one is needed."""
        said = headers.get("authorization")
        if said is None:
            anonymous = self._anonymous(api, scope, headers)
            if not anonymous.scope and scope["path"] not in self._public:
                raise AuthenticationError
            return anonymous
        scheme, _, key = said.partition(" ")
        row = api.keys.find(key.strip()) if scheme.lower() == "bearer" else None
        if row is not None:
            return Principal(f"key:{row.name}", row.scope, row.client_id, row.key_id)
        wait_s = limits.fail(_address(scope))
        if wait_s:
            raise RateLimitError("too many requests with a key that is not good", wait_s)
        logger.warning("a request from %s came with a key that is not good", _address(scope))
        raise AuthenticationError("the key is not good: unknown, expired or revoked")

    def _anonymous(self, api: Api, scope: Scope, headers: Headers) -> Principal:
        """Return who asks without a key: somebody of this machine where that is enough, else nobody."""
        allowed, server = api.settings().anonymous, scope.get("server")
        if not allowed or any(name in headers for name in FORWARDED):
            return NOBODY
        here = origins.is_loopback(_address(scope)) and server is not None and origins.is_loopback(str(server[0]))
        return Principal("anonymous", allowed) if here else NOBODY


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "nowhere"


def _is_stream(message: Message) -> bool:
    kinds = (value for name, value in message.get("headers", ()) if name == b"content-type")
    return any(kind.startswith(STREAMS) for kind in kinds)
