"""Orders come once: a repeated one gets the answer of the first, and those who only look give none.

An order is a POST that changes something. With `Idempotency-Key: K` its answer is kept; the same key again, also while the
first is still at work, gets that answer. `X-Botdeck-Readonly: 1` is what a console attached to look sends.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.errors import ReadOnly
from console.web.errors import answer_of
from workers.clock import Clock

KEPT: Final = 1000
KEPT_S: Final = 600.0
QUESTIONS: Final = ("/preview", "/v1/wait")
"""What is asked by POST and changes nothing."""

Answer = list[Message]
"""An answer as it went over the wire."""


class Orders:
    """The layer around an application that watches over its orders. Everything else goes through untouched."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._answers = Answers(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].endswith(QUESTIONS):
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
        for message in await self._answers.once(f"{scope['path']} {key}", lambda: self._gathered(scope, receive)):
            await send(message)

    async def _gathered(self, scope: Scope, receive: Receive) -> Answer:
        """Let the application answer; return all it says."""
        said: Answer = []

        async def take(message: Message) -> None:
            said.append(message)

        await self._app(scope, receive, take)
        return said


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
        promise.set_result(answer)
        return answer

    def _forget(self) -> None:
        """Make room for one more; what is still at work is never forgotten."""
        now, surplus = self._clock.monotonic(), len(self._kept) - KEPT + 1
        answered = [(key, at) for key, (at, promise) in self._kept.items() if promise.done()]
        for number, (key, at) in enumerate(answered):
            if number < surplus or now - at >= KEPT_S:
                del self._kept[key]
