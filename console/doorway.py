"""The control socket: bound early and private, answered once the web stack is loaded, gone at the very end."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from console.control import Control
from console.errors import SocketUnusable
from console.place import make_private
from workers.clock import Clock

if TYPE_CHECKING:
    from fastapi import FastAPI

    from console.web.api import Api
    from console.web.server import SocketServer

BACKLOG: Final = 128
"""Clients that may wait while the web stack is loaded."""


class Doorway:
    """A bound, listening socket; who knocks before `serve` waits."""

    def __init__(self, channel: socket.socket, clock: Clock) -> None:
        self.serving = anyio.Event()
        self._channel = channel
        self._clock = clock
        self._server: SocketServer | None = None
        self.app: FastAPI | None = None

    async def serve(self, control: Control, api: Api | None = None) -> None:
        """Load the web stack (0.3 s, 30 MB: off the loop, off the start path), then answer; returns at once then."""
        app = await anyio.to_thread.run_sync(import_module, "console.web.app")
        web = await anyio.to_thread.run_sync(import_module, "console.web.server")
        self.app = app.make_app(control, self._clock, api)
        server: SocketServer = web.SocketServer(self.app, self._channel, self._clock)
        await server.start()
        self._server = server
        gc.freeze()
        self.serving.set()

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            await self._server.stop()


@asynccontextmanager
async def open_doorway(path: Path, clock: Clock) -> AsyncIterator[Doorway]:
    """Give the control socket at path; it is gone after the block.

    Only the holder of the fleet's lock may call this: it removes what a dead process left there. Raises
    SocketUnusable.
    """
    make_private(path.parent)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    doorway = Doorway(channel, clock)
    try:
        _bind(channel, path)
        yield doorway
    finally:
        with anyio.CancelScope(shield=True):
            await doorway.stop()
        channel.close()
        _clean_up(path)


def _bind(channel: socket.socket, path: Path) -> None:
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        channel.bind(str(path))
        channel.listen(BACKLOG)
    except OSError as error:
        raise SocketUnusable(f"cannot make the control socket {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    channel.setblocking(False)


def _clean_up(path: Path) -> None:
    # Somebody may have cleaned up before us, and the folder may hold the sockets of other fleets.
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        path.parent.rmdir()
