"""Serving an application on sockets: uvicorn's protocol inside the fleet's loop, and nothing around it.

uvicorn's own `Server` would take over the signals and tick ten times a second; listening sockets and their
protocol are all that is needed here. On the control socket every peer is checked: the owner of the fleet and root may speak.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from console.web.auth import OWNER
from workers.clock import Clock

GRACE_S: Final = 1.0
"""How long answers under way may take when the server stops; streams are cut."""
_CREDENTIALS: Final = struct.Struct("3i")


class GuardedProtocol(H11Protocol):
    """HTTP for peers that may speak."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or drop it when the peer is a stranger."""
        super().connection_made(transport)
        peer = peer_uid(transport.get_extra_info("socket"))
        if peer is not None and peer not in {0, os.getuid()}:
            transport.abort()


def peer_uid(channel: Any) -> int | None:
    """Return the user id at the other end of a unix socket; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or channel is None:
        return None
    _, uid, _ = _CREDENTIALS.unpack(channel.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(uid)


class HttpServer:
    """Serves an ASGI application over some protocol of uvicorn's, until `stop`."""

    def __init__(self, app: Any, protocol: type[asyncio.Protocol], clock: Clock) -> None:
        # What a proxy says of its clients is not believed: whoever reaches a port could say it as well.
        self._config = Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        self._config.load()
        self._clock = clock
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._state.connections)

    async def stop(self) -> None:
        """Take no more connections, let answers under way end for a moment, cut the rest."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        with self._clock.deadline(GRACE_S):
            if self._state.tasks:
                await asyncio.wait(self._state.tasks)
        for task in list(self._state.tasks):
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)


class SocketServer(HttpServer):
    """Serves an ASGI application on a bound unix socket, from `start` to `stop`."""

    def __init__(self, app: Any, bound: socket.socket, clock: Clock) -> None:
        super().__init__(app, GuardedProtocol, clock)
        self._bound = bound

    async def start(self) -> None:
        """Take connections, those that have waited first."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._protocol, sock=self._bound)

    def _protocol(self) -> asyncio.Protocol:
        return GuardedProtocol(config=self._config, server_state=self._state, app_state={"principal": OWNER})
