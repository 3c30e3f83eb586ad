"""Host names to addresses, in threads of their own: a name server that does not answer holds up nobody else's names."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import anyio.to_thread
from aiohttp.abc import AbstractResolver, ResolveResult

from workers.clock import Clock, SystemClock

LOOKUP_S: Final = 8.0
"""Less than making a connection may take, so that the reason is known: it is the name, not the server."""

AT_ONCE: Final = 32
"""The loop's own look-up (libuv's) has two threads: two names that hang would keep every bot from connecting."""

KEPT_S: Final = 60.0
KEPT: Final = 1024
"""Answers kept; beyond it the oldest goes."""

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

_Key = tuple[str, int, int]


class Names(AbstractResolver):
    """Asks the system for addresses, for each name once at a time, and keeps what it says for a minute.

    The connector's own cache cannot be told to forget while somebody waits for it, hence this one.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._known: dict[_Key, tuple[float, list[ResolveResult]]] = {}
        self._asking: dict[_Key, asyncio.Task[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError, after LOOKUP_S at the latest; cancelling is safe."""
        key = (host, port, int(family))
        until, found = self._known.get(key, (0.0, []))
        if found and self._clock.monotonic() < until:
            return found
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.get_running_loop().create_task(self._ask(key), name=f"look up {host}")
            asking.add_done_callback(lambda task: self._answered(key, task))
        return await asyncio.shield(asking)

    def forget(self, host: str) -> None:
        """Ask anew the next time: no connection could be made to where the name leads."""
        for key in [key for key in self._known if key[0] == host]:
            del self._known[key]

    async def close(self) -> None:
        """Wait for no answer any more."""
        for asking in list(self._asking.values()):
            asking.cancel()

    async def _ask(self, key: _Key) -> list[ResolveResult]:
        with self._clock.deadline(LOOKUP_S):  # the thread, should it hang, is left behind
            return await anyio.to_thread.run_sync(_look_up, *key, abandon_on_cancel=True, limiter=self._limiter)
        raise socket.gaierror(socket.EAI_AGAIN, f"the name server gave no answer in {LOOKUP_S:g} s")

    def _answered(self, key: _Key, task: asyncio.Task[list[ResolveResult]]) -> None:
        del self._asking[key]
        if task.cancelled() or task.exception() is not None:  # looked at, also when nobody waits any more
            return
        self._known[key] = (self._clock.monotonic() + KEPT_S, task.result())
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]


def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    infos = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host, host=str(address[0]), port=int(address[1]), family=found, proto=proto, flags=_NUMERIC
        )
        for found, _, proto, _, address in infos
    ]
