"""A TCP proxy on loopback that does to connections what bad networks do, and can be switched while they live.

`async with Proxy(port) as proxy:` forwards `proxy.port` to `port`. One proxy before one bot troubles that bot, one
before all of them troubles the fleet.

| switch | what a client meets |
|---|---|
| `refuse()` | connections are refused; those that live are not touched |
| `unheard()` | its SYN is never answered, as behind a firewall that drops |
| `hole()` | connections are accepted, and everything on them is swallowed; those that live too |
| `reset()`, `hang_up()` | those that live end with RST, or in an orderly way |
| `forget()` | those that live are forgotten, as by a NAT: what is written is not even acknowledged, and no RST comes |
| `up`, `down` | what happens to bytes to the server, to the client: see `Way` |
| `clear()` | all is well again for new connections; what was done to living ones stays done |
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup

from workers.clock import Clock, SystemClock

CHUNK: Final = 65_536
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27


@dataclass
class Way:
    """What happens to bytes going one way, from the next ones on.

    latency_s is added to each piece, which does not hold up the next; trickle_s is waited after every trickle_bytes.
    Once `passes` bytes went through (None = no end) comes `then`: "swallow", "close" or "reset", of both sides.
    """

    latency_s: float = 0.0
    trickle_s: float = 0.0
    trickle_bytes: int = 1
    passes: int | None = None
    then: str = "swallow"


class Link:
    """One connection of a client, with its own ways."""

    def __init__(self, client: socket.socket, up: Way, down: Way) -> None:
        self.client = client
        self.up, self.down = replace(up), replace(down)
        self.waits = False
        """Whether the client has said something since it last heard something."""
        self.scope = anyio.CancelScope()
        self.with_reset = False

    def end(self, *, reset: bool = False) -> None:
        """End it, towards the client with an RST if wanted."""
        self.with_reset = reset
        self.scope.cancel()

    def swallow(self) -> None:
        """Let nothing through any more, both ways."""
        self.up.passes = self.down.passes = 0
        self.up.then = self.down.then = "swallow"


class Proxy:
    """See the module. Time comes from clock, so that latency and trickles may be held in hand."""

    def __init__(self, target_port: int, clock: Clock | None = None) -> None:
        self.target_port = target_port
        self.clock: Clock = clock or SystemClock()
        self.up, self.down = Way(), Way()
        self.links: list[Link] = []
        self.port: int = 0
        self.moved = 0
        """Bytes that have arrived from either side, and connections that came and went."""
        self.accepted: list[float] = []
        """When each connection came, by the clock."""
        self._holder = _bound(0)
        """Keeps the port ours while nobody listens."""
        self._listener: socket.socket | None = None
        self._stack = AsyncExitStack()
        self._group: TaskGroup | None = None
        self._accepting: anyio.CancelScope | None = None

    async def __aenter__(self) -> Self:
        self.port = self._holder.getsockname()[1]
        self._group = await self._stack.enter_async_context(anyio.create_task_group())
        self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._group.cancel_scope.cancel()
        await self._stack.__aexit__(None, None, None)
        self._holder.close()

    @property
    def waiting(self) -> int:
        """How many clients wait for an answer."""
        return sum(link.waits for link in self.links)

    # --- switches ----------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Refuse new connections."""
        if self._listener is not None and self._accepting is not None:
            self._accepting.cancel()
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # closed once the loop has let go of it
            self._listener = None

    def unheard(self) -> None:
        """Leave the SYN of new connections unanswered."""
        assert self._listener is not None
        drop_everything(self._listener)

    def hole(self) -> None:
        """Accept and swallow, on living connections too."""
        self.up = self.down = Way(passes=0)
        for link in self.links:
            link.swallow()

    def reset(self) -> None:
        """End living connections with RST."""
        for link in self.links:
            link.end(reset=True)

    def hang_up(self) -> None:
        """End living connections in an orderly way."""
        for link in self.links:
            link.end()

    def forget(self) -> None:
        """Forget living connections as a NAT does."""
        for link in self.links:
            link.swallow()
            drop_everything(link.client)

    def clear(self) -> None:
        """Let new connections through again."""
        self.up, self.down = Way(), Way()
        if self._listener is None:
            self._listen()
        else:
            with suppress(OSError):  # there was no filter
                self._listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    # --- work --------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        assert self._group is not None
        self._listener = _bound(self.port)
        self._listener.listen(4096)
        self._accepting = anyio.CancelScope()
        self._group.start_soon(self._accept, self._listener, self._accepting)

    async def _accept(self, listener: socket.socket, scope: anyio.CancelScope) -> None:
        assert self._group is not None
        loop = asyncio.get_running_loop()
        try:
            with scope, suppress(OSError):
                while True:
                    client, _ = await loop.sock_accept(listener)
                    self.accepted.append(self.clock.monotonic())
                    self._group.start_soon(self._serve, Link(client, self.up, self.down))
        finally:
            listener.close()

    async def _serve(self, link: Link) -> None:
        self.links.append(link)
        self.moved += 1
        link.client.setblocking(False)
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setblocking(False)
        for each in (link.client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with link.scope:
                await asyncio.get_running_loop().sock_connect(server, ("127.0.0.1", self.target_port))
                async with anyio.create_task_group() as group:
                    group.start_soon(self._pump, group, link, link.up, link.client, server)
                    group.start_soon(self._pump, group, link, link.down, server, link.client)
        except* OSError:
            pass  # one of the two is gone, and so is the connection
        finally:
            self.links.remove(link)
            self.moved += 1
            if link.with_reset:
                link.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            link.client.close()
            server.close()

    async def _pump(self, group: TaskGroup, link: Link, way: Way, source: socket.socket, target: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        group.start_soon(self._write, link, way, queue, target)
        while data := await loop.sock_recv(source, CHUNK):
            self.moved += len(data)
            if way is link.up:
                link.waits = True
            queue.put_nowait((self.clock.monotonic() + way.latency_s, data))
        # An end on one side is an end of both: HTTP knows no half-open connections.
        link.scope.cancel()

    async def _write(
        self, link: Link, way: Way, queue: asyncio.Queue[tuple[float, bytes]], target: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if due > self.clock.monotonic():
                await self.clock.sleep(due - self.clock.monotonic())
            step = way.trickle_bytes if way.trickle_s else len(data)
            for start in range(0, len(data), step):
                piece = _passing(way, data[start : start + step])
                if piece:
                    await loop.sock_sendall(target, piece)
                if way.trickle_s:
                    await self.clock.sleep(way.trickle_s)
                if way.passes == 0 and way.then != "swallow":
                    link.end(reset=way.then == "reset")
            if way is link.down and way.passes != 0 and queue.empty():
                link.waits = False


def _passing(way: Way, piece: bytes) -> bytes:
    """Return what of a piece goes through."""
    if way.passes is None:
        return piece
    passing = piece[: way.passes]
    way.passes -= len(passing)
    return passing


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setblocking(False)
    made.bind(("127.0.0.1", port))
    return made


def drop_everything(sock: socket.socket) -> None:
    """Let the kernel drop whatever arrives for a socket before TCP sees it, so that it is not acknowledged (Linux)."""
    verdict = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(verdict)))
