"""Ways in which all bots of a fleet lose their network at once: for the suite, and for `python -m tests.network`."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import web

from tests.network.certificates import ELSEWHERE, GOOD, serving, show, trusting
from tests.network.place import Place, place
from tests.network.proxy import Proxy, Way
from workers.clock import ManualClock
from workers.http import Http

HERE: Final = {"localhost": "127.0.0.1"}


class NameServer:
    """What the system's resolver knows. Names that hang answer when the test is over."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.asked: list[str] = []
        self.over = threading.Event()

    def answer(self, host: str, port: int, **_: Any) -> list[Any]:
        """Stand in for `socket.getaddrinfo`."""
        self.asked.append(host)
        if host.startswith("hangs"):
            self.over.wait(60)
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.known[host], port))]


@contextmanager
def name_server() -> Iterator[NameServer]:
    """Have this process ask one of ours, which knows no name yet."""
    server, usual = NameServer(), socket.getaddrinfo
    socket.getaddrinfo = server.answer  # type: ignore[assignment]
    try:
        yield server
    finally:
        socket.getaddrinfo = usual
        server.over.set()


class Scene:
    """A fleet whose bots find the double by a name, over one road, with or without TLS."""

    def __init__(self, it: Place, road: Proxy, names: NameServer, tls: ssl.SSLContext | None, folder: Path) -> None:
        self.it, self.road, self.names = it, road, names
        self._tls, self._folder = tls, folder

    async def start(self, bot_ids: list[str]) -> None:
        """Start bots, and wait until they poll."""
        await self.it.start(bot_ids, self.road, origin=f"{'https' if self._tls else 'http'}://localhost")

    def certify(self, certificate: str) -> None:
        """Have the server show a certificate from its next connection on."""
        if self._tls is not None:
            show(self._tls, certificate, self._folder)

    def mend(self) -> None:
        """All is well again for new connections."""
        self.names.known |= HERE
        self.certify(GOOD)
        self.road.clear()


@asynccontextmanager
async def scene(folder: Path, clock: ManualClock, *, secure: bool = False) -> AsyncIterator[Scene]:
    """A running pool without bots, before which nothing is amiss yet."""
    tls = serving(GOOD, folder) if secure else None
    http = Http(tls=trusting(GOOD, ELSEWHERE))
    with name_server() as names:
        names.known |= HERE
        async with place(folder, clock, http=http) as it:
            (road,) = it.roads
            if tls is not None:
                road.target_port = await _second_port(it, tls)
            yield Scene(it, road, names, tls, folder)


async def _second_port(it: Place, tls: ssl.SSLContext) -> int:
    """Have the double listen with TLS too; return where."""
    tls.num_tickets = 0  # the proxy would take them for an answer
    runner = it.sandbox._runner
    assert runner is not None, "it is running"
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls, backlog=4096).start()
    return int(runner.addresses[-1][1])


# --- the ways ----------------------------------------------------------------------------------------------------


def refused(at: Scene) -> None:
    """The server's machine is there, the server is not."""
    at.road.refuse()
    at.road.reset()


def swallowed(at: Scene) -> None:
    """The way is there, nothing comes back."""
    at.road.hole()


def forgotten(at: Scene) -> None:
    """Living connections are forgotten by a NAT, new ones refused."""
    at.road.forget()
    at.road.refuse()


def hung_up(at: Scene) -> None:
    """Connections end in an orderly way, and so does every new one with its first byte."""
    at.road.up = Way(passes=0, then="close")
    at.road.hang_up()


def halved(at: Scene) -> None:
    """Every answer ends in its middle."""
    at.road.down = Way(passes=60, then="close")
    at.road.hang_up()


def trickled(at: Scene) -> None:
    """Every answer comes at a byte a second."""
    at.road.down = Way(trickle_s=1.0)
    at.road.hang_up()


def nameless(at: Scene) -> None:
    """The name is not found any more, and living connections break."""
    at.names.known.clear()
    at.it.rig.services.http._names.forget("localhost")  # it has been kept for its minute
    at.road.reset()


def estranged(at: Scene) -> None:
    """Whoever answers shows a certificate of another name."""
    at.certify(ELSEWHERE)
    at.road.hang_up()


class Outage(NamedTuple):
    """A way, and what is read of it in a bot's condition; secure: it takes a server with TLS."""

    begin: Callable[[Scene], None]
    reason: str
    secure: bool = False

    @property
    def name(self) -> str:
        return self.begin.__name__


OUTAGES: Final = (
    Outage(refused, "no connection: Connection refused"),
    Outage(swallowed, "no answer within"),
    Outage(forgotten, "refused"),
    Outage(hung_up, "the connection was closed without an answer"),
    Outage(halved, "the connection was closed"),
    Outage(trickled, "no answer within"),
    Outage(nameless, "localhost: the name is not found: Name or service not known"),
    Outage(estranged, "localhost: its certificate is not trusted: Hostname mismatch", secure=True),
)
