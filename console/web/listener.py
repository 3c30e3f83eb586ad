"""The API over TCP, where `[api] listen` says: bound and unbound while the fleet runs, whatever its bots do meanwhile."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

import anyio

from config.sections.api import Listening, listening
from console.web.api import Api
from console.web.origins import is_loopback
from console.web.patience import PROTOCOLS
from console.web.server import HttpServer
from workers.clock import Clock

logger = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""How often it is looked at what is wanted, and what could not be bound is tried again."""
BACKLOG: Final = 512


class TcpServer(HttpServer):
    """Serves an ASGI application at an address."""

    def __init__(self, app: Any, most: Callable[[], int], clock: Clock) -> None:
        super().__init__(app, PROTOCOLS[-1], clock)
        self._most = most

    async def start(self, where: Listening) -> None:
        """Take connections. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, where.host, where.port, backlog=BACKLOG)

    def _protocol(self) -> asyncio.Protocol:
        return PROTOCOLS[-1](self._most, config=self._config, server_state=self._state, app_state={})


class Listener:
    """Keeps the API served where its settings say at the moment, or says in `problem` why it is not."""

    def __init__(self, app: Any, api: Api, clock: Clock) -> None:
        self.problem = ""
        self.served: Listening | None = None
        self._app = app
        self._api = api
        self._clock = clock
        self._server: TcpServer | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._server.connections if self._server is not None else 0

    async def run(self) -> None:
        """Follow the settings until cancelled; nothing is served any more then."""
        try:
            while True:
                await self._follow()
                await self._clock.sleep(LOOK_S)
        finally:
            with anyio.CancelScope(shield=True):
                await self._close()

    async def _follow(self) -> None:
        where = listening(self._api.settings().listen)
        problem = await self._against(where) if where is not None else ""
        if where != self.served or problem:
            await self._close()
        if where is not None and self.served is None and not problem:
            problem = await self._open(where)
        if problem and problem != self.problem:
            logger.error("the API is not served: %s", problem)
        self.problem = problem

    async def _against(self, where: Listening) -> str:
        """Return what speaks against an address, whoever has it."""
        if where.loopback or self._api.keys.any_good:
            return ""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
        except OSError as error:
            return f"[api] listen = {str(where)!r}: {error.strerror}"
        if all(is_loopback(str(address[4][0])) for address in found):
            return ""
        return f"[api] listen = {str(where)!r} reaches beyond this machine, and there is no key: `botdeck key add` makes one"

    async def _open(self, where: Listening) -> str:
        """Serve at an address; return why not, if so."""
        server = TcpServer(self._app, lambda: self._api.settings().max_connections, self._clock)
        try:
            await server.start(where)
        except OSError as error:
            return f"[api] listen = {str(where)!r}: {error.strerror or error}"
        self._server, self.served = server, where
        logger.info("the API is served at http://%s", where)
        return ""

    async def _close(self) -> None:
        if self._server is not None:
            server, self._server, self.served = self._server, None, None
            await server.stop()
            logger.info("the API is not served any more")
