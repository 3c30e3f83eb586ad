"""The one HTTP client of a fleet: every bot and every provider speaks through its aiohttp session."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import aiohttp
from yarl import URL

from workers.errors import ChannelUnreachable
from workers.names import Names
from workers.places import OneByOne
from workers.redaction import by_shape

CONNECT_TIMEOUT_S: Final = 10.0
"""For the name, the connection and its TLS together."""

LARGE_BYTES: Final = 64 * 1024
"""To understand more than this takes a millisecond or several: others get their turn before the next."""

REST_S: Final = 10.0
"""A connection that rested longer is not used again: what it would take a message into may be gone, and whether the
message arrived could not be told. "typing…" keeps one at hand while a model thinks."""

PROBE_AFTER_S: Final = 20
PROBE_EVERY_S: Final = 10
PROBES: Final = 3
UNHEARD_S: Final = 20
"""A silent connection is probed by the kernel after 20 s, which also keeps the gateways on its way from forgetting it;
one that gives no sign of life for 20 s more is closed, before the long poll on it would have ended."""

NEVER_LEFT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    UnicodeError,  # of a host name that cannot be one
)
"""Errors of getting a connection: aiohttp raises them before the first byte of a request is written."""

BROKEN: Final = (aiohttp.ClientError, OSError, UnicodeError)
"""Everything a request may end with instead of an answer."""

_SOCKET_OPTIONS: Final = (
    ("TCP_KEEPIDLE", PROBE_AFTER_S),
    ("TCP_KEEPINTVL", PROBE_EVERY_S),
    ("TCP_KEEPCNT", PROBES),
    ("TCP_USER_TIMEOUT", UNHEARD_S * 1000),
)


class Http:
    """One aiohttp session, made at its first use inside the running loop, and one TLS context.

    tls: a context of one's own, or None for aiohttp's verifying one, which exists once per process already (another
    would cost 54 ms of blocked loop and 1.7 MB). rest_s: for how long a connection may rest. Belongs to one event loop.
    Uses neither cookies nor the environment's proxies. clean takes secrets out of a text.
    """

    __slots__ = ("_closed", "_names", "_rest_s", "_session", "_tls", "clean", "large")

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        rest_s: float = REST_S,
        clean: Callable[[str], str] = by_shape,
    ) -> None:
        self.clean = clean
        """For what a server says, before it is cut: it may quote anything it was sent, and half a secret is one too."""
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._rest_s = rest_s
        self._session: aiohttp.ClientSession | None = None
        self.large = OneByOne()
        """Entered by whoever parses, or commits, more than LARGE_BYTES."""
        self._names = Names()
        self._closed = False

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session. Raises ChannelUnreachable after close()."""
        if self._session is None:
            self._session = self._open()
        return self._session

    async def request(self, method: str, url: URL, **options: Any) -> aiohttp.ClientResponse:
        """Send a request, return the response once its head is there; options are aiohttp's. The caller bounds the time.

        Redirects are not followed: they would carry token or key to another host. Raises what BROKEN names; a host to
        which no connection could be made is looked up anew the next time, for it may have moved.
        """
        try:
            return await self.session.request(method, url, allow_redirects=False, **options)
        except NEVER_LEFT:
            self._names.forget(url.raw_host or "")
            raise

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ChannelUnreachable("the fleet's HTTP client is closed", "the fleet is shutting down")
        # No limit on connections: each polling bot holds one for the length of its poll, and a pool that makes
        # bots wait for each other would break the isolation between them.
        connector = aiohttp.TCPConnector(
            limit=0,
            ssl=self._tls,
            use_dns_cache=False,  # `Names` keeps what it was told
            keepalive_timeout=self._rest_s,
            resolver=self._names,
            socket_factory=open_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "botdeck"},
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection; requests in flight end with an error. Idempotent."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        await self._names.close()


class OwnSocket(socket.socket):
    """A socket that at its end closes its own descriptor and no other.

    uvloop closes the descriptor of a connection that is reset while it takes the socket over, and the socket does not
    learn of it. Its number then belongs to whatever was opened next, perhaps the database, which must not be closed.
    """

    __slots__ = ("_inode",)

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        self._inode = os.fstat(self.fileno()).st_ino

    def __del__(self) -> None:
        if self.fileno() == -1:
            return
        with suppress(OSError):
            ours = os.fstat(self.fileno()).st_ino == self._inode
            number = self.detach()
            if ours:
                os.close(number)


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket for an address (as getaddrinfo gives them) that notices a peer that is gone, where the system can."""
    made = OwnSocket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET_OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def reason_of(error: BaseException) -> str:
    """Say what went wrong with a request, from the parts of an error that cannot hold the URL: token or key."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        inner = error.certificate_error
        return f"{error.host}: its certificate is not trusted: {getattr(inner, 'verify_message', '') or 'TLS failed'}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"{error.host}: the name is not found: {error.os_error.strerror or 'DNS failed'}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host}:{error.port}: no connection: {_told_by(error.os_error)}"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return _told_by(error) if isinstance(error, OSError) else type(error).__name__


def _told_by(error: OSError) -> str:
    """Return the system's words: loop and aiohttp put their own in their place, with the address or even the URL."""
    if isinstance(error, ssl.SSLError):
        return error.strerror or "TLS failed"
    if error.errno is None:
        return "the connection was lost"
    return os.strerror(error.errno)


_REASONS: Final = (
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError), "the base URL is no http(s) URL"),
    (aiohttp.ServerDisconnectedError, "the connection was closed without an answer"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (aiohttp.ClientResponseError, "an answer that is no HTTP"),
    (aiohttp.ClientConnectionResetError, "the connection was lost"),
)
