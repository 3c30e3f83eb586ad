"""The one HTTP client of a fleet: every bot and every provider speaks through its aiohttp session."""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp

from workers.errors import ChannelUnreachable

CONNECT_TIMEOUT_S: Final = 10.0
KEEPALIVE_S: Final = 75.0
"""Longer than a long poll (50 s), so that the connection of a quiet bot is used again for its answer."""

DNS_CACHE_S: Final = 60


class Http:
    """One aiohttp session, made at its first use inside the running loop, and one TLS context.

    tls: a context of one's own, or None for aiohttp's verifying one, which exists once per process already (another
    would cost 54 ms of blocked loop and 1.7 MB). Belongs to one event loop. Uses neither cookies nor the
    environment's proxies.
    """

    __slots__ = ("_closed", "_session", "_tls")

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session. Raises ChannelUnreachable after close()."""
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ChannelUnreachable("the fleet's HTTP client is closed", "the fleet is shutting down")
        # No limit on connections: each polling bot holds one for the length of its poll, and a pool that makes
        # bots wait for each other would break the isolation between them.
        connector = aiohttp.TCPConnector(
            limit=0, ssl=self._tls, ttl_dns_cache=DNS_CACHE_S, keepalive_timeout=KEEPALIVE_S
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "botdeck"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection; requests in flight end with an error. Idempotent."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()
