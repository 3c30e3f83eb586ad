"""Against web pages that reach for the API through a visitor's browser.

`Host` must be a name the API is known by: a page whose own name was made to point here (DNS rebinding) says another. `Origin`,
which browsers add to what a page of another site asks, must be one that is allowed.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Message, Scope, Send

from config.sections.api import ApiSection, listening
from console.errors import NotAllowed

METHODS: Final = b"GET, POST, PUT, PATCH, DELETE"
HEADERS: Final = b"authorization, content-type, idempotency-key, last-event-id, x-request-id"
PREFLIGHT_S: Final = b"600"


def check(scope: Scope, headers: Headers, settings: ApiSection) -> str:
    """Return the origin of a page that may use the API, "" for everybody who is no page of another site.

    Raises NotAllowed for every other page, and for a name the API is not known by.
    """
    host = headers.get("host", "")
    if len(headers.getlist("host")) > 1 or _host(host) not in _names(scope, settings):
        raise NotAllowed(f"the API is not known as {host[:100]!r}", "add the name to [api] allowed_hosts")
    said = headers.get("origin", "")
    if not said or urlsplit(said).netloc.lower() == host.lower():
        return ""
    if said.lower() not in {allowed.lower() for allowed in settings.allowed_origins}:
        raise NotAllowed(f"pages of {said[:100]!r} may not use the API", "add it to [api] allowed_origins")
    return said


def is_preflight(scope: Scope, headers: Headers) -> bool:
    """Tell whether a browser asks on its own account whether a page may ask."""
    return scope["method"] == "OPTIONS" and "access-control-request-method" in headers


async def allow(origin: str, send: Send) -> None:
    """Answer a preflight of a page that may."""
    headers = [
        *_granted(origin),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", HEADERS),
        (b"access-control-max-age", PREFLIGHT_S),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def granting(origin: str, send: Send) -> Send:
    """Return a send that lets the page read what it says."""

    async def granted(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_granted(origin)]
        await send(message)

    return granted


def _granted(origin: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin.encode("ascii", "ignore")),
        (b"access-control-expose-headers", b"retry-after, x-request-id"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"vary", b"origin"),
    ]


def _host(text: str) -> str:
    """Return the host of a Host header, without port and brackets, in lower case."""
    host = text[1 : text.find("]")] if text.startswith("[") else text.partition(":")[0]
    return host.lower().rstrip(".")


def _names(scope: Scope, settings: ApiSection) -> set[str]:
    """Return the names a request may call the API by.

    The address it came in at is one: no page can make its own name look like that.
    """
    names = {allowed.lower().rstrip(".") for allowed in settings.allowed_hosts}
    server = scope.get("server")
    here = str(server[0]).lower() if server else ""
    names.add(here)
    if is_loopback(here):
        names.add("localhost")
    where = listening(settings.listen)
    if where is not None:
        names.add(where.host)
    return names - {""}


def is_loopback(address: str) -> bool:
    """Tell whether an address is one of this machine alone."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
