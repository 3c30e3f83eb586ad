"""The console of a running fleet in a browser: one attached console a tab, on loopback, behind a token.

Needs the extra `browser` (textual-serve). What it starts is `botdeck attach`, never a fleet.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import click
from aiohttp import web
from textual_serve.server import Server

LOOPBACK: Final = "127.0.0.1"
COOKIE: Final = "botdeck"
MAX_TABS: Final = 8
"""Consoles at once: each is a process of some 60 MB."""
HEADERS: Final = {
    # The page of textual-serve asks for a font elsewhere; nothing is to leave this machine.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ConsoleServer(Server):
    """Serves `command` to whoever has the token; every other request is refused with 403."""

    def __init__(self, command: str, port: int, title: str, token: str) -> None:
        super().__init__(command, host=LOOPBACK, port=port, title=title)
        self._token = token
        self._tabs = 0

    @property
    def address(self) -> str:
        """Where the console is, the token in it: to be opened once, a cookie remembers it."""
        return f"{self.public_url}/?token={self._token}"

    async def application(self) -> web.Application:
        """Return the guarded application."""
        app = await self._make_app()
        app.middlewares.append(self._guard)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing: the command does."""

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Open a console for a tab, while there are not too many."""
        if self._tabs >= MAX_TABS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_TABS} consoles are open already: close one\n")
        self._tabs += 1
        try:
            return await super().handle_websocket(request)
        finally:
            self._tabs -= 1

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_ours(request):
            raise web.HTTPForbidden(text="open the address that `botdeck serve` printed\n")
        if "token" in request.query:
            moved = web.HTTPFound("/", headers=HEADERS)
            moved.set_cookie(COOKIE, self._token, httponly=True, samesite="Strict")
            return moved
        answer = await handler(request)
        if not answer.prepared:
            answer.headers.update(HEADERS)
        return answer

    def _is_ours(self, request: web.Request) -> bool:
        """Tell whether a request has the token, and comes from our own page under our own name."""
        own = urlsplit(self.public_url).netloc
        origin = request.headers.get("Origin")
        if request.host != own or (origin is not None and urlsplit(origin).netloc != own):
            return False
        given = request.query.get("token") or request.cookies.get(COOKIE, "")
        return hmac.compare_digest(given.encode(), self._token.encode())


def attach_command(root: Path, environment: str | None, *, readonly: bool) -> str:
    """Return the shell command that attaches to the fleet of a folder."""
    words = [sys.executable, "-m", "console", "attach", "-C", str(root.absolute())]
    words += ["--env", environment] if environment else []
    words += ["--readonly"] if readonly else []
    return shlex.join(words)


async def serve(root: Path, environment: str | None, *, port: int, readonly: bool, title: str) -> None:
    """Serve until cancelled, at a free port where port is 0. Raises OSError when the port is taken."""
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # its lines would hold the token
    server = ConsoleServer(attach_command(root, environment, readonly=readonly), port, title, secrets.token_urlsafe(32))
    runner = web.AppRunner(await server.application(), handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, port)
        await site.start()
        server.port = _port_of(site)
        server.public_url = f"http://{LOOPBACK}:{server.port}"
        click.echo(f"the console of {title} is at {server.address}")
        click.echo("Ctrl-C ends it; the fleet goes on")
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


def _port_of(site: web.TCPSite) -> int:
    listening: Any = site._server  # noqa: SLF001 (aiohttp tells the port nowhere else)
    if not isinstance(listening, asyncio.Server):
        return 0
    return int(listening.sockets[0].getsockname()[1])
