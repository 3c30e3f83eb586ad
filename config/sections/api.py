"""The table of the HTTP API."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator

from config.sections.base import Listed, Section, key
from config.vocabulary import Effect

_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*\.?")


class Listening(NamedTuple):
    """Where the API is served."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or _is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(text: str) -> Listening | None:
    """Return the host and port of an address to listen on; None of "". Raises ValueError."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise ValueError('an address to listen on is a host and a port, such as "127.0.0.1:8765"')
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError('an IPv6 address stands in brackets, such as "[::1]:8765"')
    return Listening(host_name(host).lower(), int(port))


def host_name(text: str) -> str:
    """Return text when it is the name or the address of a host. Raises ValueError otherwise."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _NAME.fullmatch(text):
            raise ValueError("a host is a name such as bots.example.com, or an address, without port") from None
    return text


def origin(text: str) -> str:
    """Return text when it is an origin as browsers send it. Raises ValueError otherwise."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or text != f"{parts.scheme}://{parts.netloc}":
        raise ValueError('an origin is a scheme and a host, such as "https://app.example.com"')
    return text


def _listen(text: str) -> str:
    listening(text)
    return text


class ApiSection(Section):
    """`[api]`: the HTTP API, beside the control socket."""

    listen: Annotated[str, AfterValidator(_listen)] = key(
        "Host and port the API is served on; empty = not at all. Beyond loopback it needs a key.",
        Effect.IN_PLACE,
        default="",
        example='"127.0.0.1:8765"',
        allowed='a host and a port, or ""',
    )
    anonymous: Literal["", "read", "operate", "admin"] = key(
        "What programs of this machine may do without a key, over loopback; empty = nothing.",
        Effect.IN_PLACE,
        default="",
    )
    allowed_hosts: Listed[Annotated[str, AfterValidator(host_name)]] = key(
        "Names clients know the API by, beside the address it listens on.",
        Effect.IN_PLACE,
        default=(),
        example='["bots.example.com"]',
        each="a host's name or address, without port",
    )
    allowed_origins: Listed[Annotated[str, AfterValidator(origin)]] = key(
        "Web pages that may use the API from a browser, beside its own.",
        Effect.IN_PLACE,
        default=(),
        example='["https://app.example.com"]',
        each="a scheme and a host",
    )
    max_body_kb: int = key("Longest body of a request.", Effect.IN_PLACE, "KB", default=1024, ge=1, le=65_536)
    requests_per_min: int = key("Requests of one key; 0 = any number.", Effect.IN_PLACE, "1/min", default=6000, ge=0)
    max_requests: int = key("Requests of one key at once.", Effect.IN_PLACE, "requests", default=64, ge=1)
    max_streams: int = key("Streams of one key at once.", Effect.IN_PLACE, "streams", default=32, ge=1)
    max_connections: int = key(
        "Connections of all clients at once.", Effect.IN_PLACE, "connections", default=1024, ge=1
    )
