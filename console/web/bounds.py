"""How much a request may say: more is refused before it is held in memory."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""A file of a bot has 1 MiB at most, and each of its characters may take six in JSON."""


class Bounds:
    """The layer around an application that ends a request with 413 once its body is longer than MAX_BODY_BYTES."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise HTTPException(413, f"its body is longer than {MAX_BODY_BYTES >> 20} MiB")
            return message

        await self._app(scope, bounded, send)
