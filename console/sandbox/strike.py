"""Letting a fault happen to one request: the wire is cut, held or lied to exactly where the fault says."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web

from console.sandbox.answers import HTML, TEXT, Refused, Reply, flooded
from console.sandbox.faults import Fault
from workers.clock import Clock

Done = TypeVar("Done")
Work = Callable[[], Awaitable[Done]]

PROXY_PAGE: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
CUT_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n"
HALF_JSON: Final = b'{"ok":true,"result":[{"update_id":1,"mess'
REASONS: Final = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}

_GARBAGE: Final = {
    "text": Reply(200, b"upstream is having a nap", TEXT),
    "truncated": Reply(200, HALF_JSON),
    "html": Reply(200, PROXY_PAGE, HTML),
    "empty": Reply(200, b""),
}


async def strike(
    fault: Fault,
    request: web.BaseRequest,
    method: str,
    work: Work[Done],
    clock: Clock,
    word: Callable[[Refused], Reply],
) -> Done | Reply | None:
    """Let fault happen; work does what was asked, word puts a refusal in the server's form.

    Return what work gave or the reply in its place, or None when the connection is gone.
    """
    if fault.kind in _AFTER or (fault.kind == "hang" and fault.options.get("done")):
        return await _after(fault, request, method, work)
    fault.hit(method)
    if fault.kind == "hold":
        await fault.held()
        return await work()
    if fault.kind == "slow":
        await clock.sleep(float(fault.options.get("delay_s", 1.0)))
        return await work()
    if fault.kind in _CUTS:
        await _cut(fault, request)
        return None
    if fault.kind == "garbage":
        return _garbage(fault, request)
    return _refuse(fault, word)


_AFTER: Final = frozenset({"hold_after", "lost_reply"})
_CUTS: Final = frozenset({"hang", "reset", "close"})


async def _after(fault: Fault, request: web.BaseRequest, method: str, work: Work[Done]) -> Done | None:
    reply = await work()
    fault.hit(method)
    if fault.kind == "lost_reply":
        abort(request, reset=bool(fault.options.get("reset")))
        return None
    await fault.held()
    if fault.kind == "hold_after":
        return reply
    abort(request)
    return None


async def _cut(fault: Fault, request: web.BaseRequest) -> None:
    if fault.kind == "hang":
        await fault.held()
    if fault.kind == "close" and request.transport is not None:
        request.transport.close()
        return
    abort(request, reset=fault.kind == "reset")


def _garbage(fault: Fault, request: web.BaseRequest) -> Reply | None:
    form = str(fault.options.get("form", "text"))
    if form == "cut":
        cut(request, CUT_HEAD + HALF_JSON)
        return None
    return _GARBAGE[form]


def _refuse(fault: Fault, word: Callable[[Refused], Reply]) -> Reply:
    described = str(fault.options.get("description", ""))
    if fault.kind == "flood":
        return word(flooded(int(fault.options.get("retry_after", 1))))
    if fault.kind == "server_error":
        status = int(fault.options.get("status", 502))
        if fault.options.get("html"):
            return Reply(status, PROXY_PAGE, HTML)
        return word(Refused(status, described or REASONS.get(status, "Internal Server Error")))
    code, text = _REFUSALS[fault.kind]
    return word(Refused(code, described or text))


_REFUSALS: Final = {
    "unauthorized": (401, "Unauthorized"),
    "forbidden": (403, "Forbidden: bot was blocked by the user"),
    "not_found": (404, "Not Found"),
    "bad_request": (400, "Bad Request: chat not found"),
    "conflict": (
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    ),
}


def abort(request: web.BaseRequest, *, reset: bool = True) -> None:
    """Drop the connection at once; with reset the other side sees RST, not an orderly end."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        _linger_zero(transport.get_extra_info("socket"))
    transport.abort()


def cut(request: web.BaseRequest, head: bytes) -> None:
    """Send head, then end the connection although more was promised."""
    transport = request.transport
    if transport is not None:
        transport.write(head)
        transport.close()


def _linger_zero(sock: socket.socket | None) -> None:
    """Ask the kernel for RST on close. uvloop hides setsockopt, so a duplicate of the descriptor carries it."""
    if sock is None:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
