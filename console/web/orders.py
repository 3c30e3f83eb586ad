"""Orders come once: a repeated one gets the answer of the first, and those who only look give none.

An order is a request that changes something. With `Idempotency-Key: K` its answer is kept; the same key again from whoever sent
it first, also while the first is still at work, gets that answer. `X-Botdeck-Readonly: 1` is what a console attached to
look sends.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import FleetError
from console.errors import BadRequest, ReadOnly
from console.web.auth import principal_of
from console.web.errors import answer_of, http_error
from workers.clock import Clock

KEPT: Final = 1000
"""Answers kept of one key of the API, or of the control socket."""
KEPT_S: Final = 600.0
LONGEST_KEY: Final = 255
LOOKING: Final = ("GET", "HEAD", "OPTIONS")
QUESTIONS: Final = ("/preview", "/v1/wait")
"""What is asked by POST and changes nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it went over the wire, and the digest of what it answers."""

    asked: str
    said: list[Message]

    @property
    def final(self) -> bool:
        """Whether asking again is to get it: not where nothing was done, or nobody knows what was."""
        status = int(self.said[0].get("status", 500)) if self.said else 500
        return status < 500 and status != 429


class Orders:
    """The layer around an application that watches over its orders. Everything else goes through untouched."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._answers: dict[str, Answers] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in LOOKING or scope["path"].endswith(QUESTIONS):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.get("x-botdeck-readonly") == "1":
            refusal = answer_of(Request(scope), ReadOnly("this console only looks", "attach without --readonly"))
            await refusal(scope, receive, send)
            return
        key = headers.get("idempotency-key")
        if not key:
            await self._app(scope, receive, send)
            return
        try:
            messages = await self._once(key, scope, receive)
        except FleetError as error:
            await answer_of(Request(scope), error)(scope, receive, send)
        except HTTPException as error:
            await (await http_error(Request(scope), error))(scope, receive, send)
        else:
            for message in messages:
                # The layers outside add their headers to a message, to each of those who get it anew.
                await send(dict(message))

    async def _once(self, key: str, scope: Scope, receive: Receive) -> list[Message]:
        """Return the answer to an order, given now or before. Raises BadRequest for a key that was another order's."""
        if len(key) > LONGEST_KEY:
            raise BadRequest(f"an Idempotency-Key has {LONGEST_KEY} characters at most")
        body = await _whole(receive)
        asked = hashlib.sha256(b"%b\0%b" % (scope.get("query_string", b""), body)).hexdigest()
        principal = principal_of(Request(scope))
        answers = self._answers.setdefault(principal.key_id or principal.name, Answers(self._clock))
        answer = await answers.once(
            f"{scope['method']} {scope['path']} {key}", lambda: self._gathered(asked, body, scope, receive)
        )
        if answer.asked != asked:
            raise BadRequest("this Idempotency-Key came with another request before", "use a key once")
        return answer.said

    async def _gathered(self, asked: str, body: bytes, scope: Scope, receive: Receive) -> Answer:
        """Let the application answer; return all it says."""
        said: list[Message] = []
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        async def take(message: Message) -> None:
            said.append(message)

        await self._app(scope, again, take)
        return Answer(asked, said)


async def _whole(receive: Receive) -> bytes:
    """Return the body of a request; the layer outside bounds it."""
    pieces: list[bytes] = []
    while (message := await receive())["type"] == "http.request":
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)
    raise HTTPException(400, "the request was cut off")


class Answers:
    """The answers of orders given with a key, for ten minutes, a thousand at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, asyncio.Future[Answer | None]]] = OrderedDict()

    async def once(self, key: str, do: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do what is asked unless a request with this key has, or is at it; return the answer."""
        self._forget()
        while key in self._kept:
            if (kept := await asyncio.shield(self._kept[key][1])) is not None:
                return kept
        promise: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._kept[key] = (self._clock.monotonic(), promise)
        try:
            answer = await do()
        except BaseException:
            # Nobody knows what came of it: whoever asks again, or waits already, is to have it done.
            del self._kept[key]
            promise.set_result(None)
            raise
        if not answer.final:
            del self._kept[key]
        promise.set_result(answer)
        return answer

    def _forget(self) -> None:
        """Make room for one more; what is still at work is never forgotten."""
        now, surplus = self._clock.monotonic(), len(self._kept) - KEPT + 1
        answered = [(key, at) for key, (at, promise) in self._kept.items() if promise.done()]
        for number, (key, at) in enumerate(answered):
            if number < surplus or now - at >= KEPT_S:
                del self._kept[key]
