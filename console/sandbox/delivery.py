"""Answers of the model double on their way: whole, streamed, and broken in the middle."""

from __future__ import annotations

import gzip
from typing import Any, Final

from aiohttp import web

from console.sandbox.answers import Refused, dump
from console.sandbox.completions import Answer, Wire
from console.sandbox.faults import Fault
from console.sandbox.strike import CUT_HEAD, abort, cut
from workers.clock import Clock

_FILLING: Final = b" " * 16_384
"""What an endless whole answer is made of."""

_MALFORMED: Final = b'data: {"id":"x","type":"content_block_delta","choices":[{"index":0,"del\n\n'


async def whole(request: web.BaseRequest, wire: Wire, answer: Answer, fault: Fault | None) -> web.StreamResponse:
    """Send an answer as one object, as fault would have it."""
    body, kind = dump(wire.whole(answer)).encode(), "" if fault is None else fault.kind
    if fault is not None and kind not in {"error_chunk", "hold_between"}:
        fault.hit("chat")
    if kind == "cut":
        cut(request, CUT_HEAD + body[: len(body) // 2])
        return web.Response(status=500)
    if kind == "endless":
        return await _endless(request, {"Content-Type": "application/json"}, body[:-1], _FILLING)
    if kind in {"malformed_chunk", "truncate"}:
        body = body[:-20]
    headers = {"Content-Encoding": "gzip"} if kind == "gzip" else {}
    told = "text/html" if kind == "wrong_type" else "application/json"
    return web.Response(body=gzip.compress(body) if kind == "gzip" else body, content_type=told, headers=headers)


async def stream(
    request: web.BaseRequest, wire: Wire, answer: Answer, fault: Fault | None, clock: Clock, piece_delay_s: float
) -> web.StreamResponse:
    """Send an answer as server-sent events, letting fault happen at its piece."""
    kind = "" if fault is None else fault.kind
    headers = {"Content-Type": "text/plain" if kind == "wrong_type" else "text/event-stream"}
    response = web.StreamResponse(headers={**headers, "Cache-Control": "no-cache"})
    if kind == "gzip":
        response.enable_compression(web.ContentCoding.gzip)
    await response.prepare(request)
    at = -1 if fault is None else int(fault.options.get("after_pieces", len(answer.pieces()) // 2))
    for place, part in enumerate(wire.events(answer)):
        await response.write(part)
        if place == at and fault is not None and not await _break(request, response, wire, answer, fault, clock):
            return response
        if piece_delay_s and place:
            await clock.sleep(piece_delay_s)
    await response.write(b"".join(wire.ending(answer)))
    await response.write_eof()
    return response


async def _break(
    request: web.BaseRequest, response: web.StreamResponse, wire: Wire, answer: Answer, fault: Fault, clock: Clock
) -> bool:
    """Let fault happen in the middle; tell whether the stream goes on."""
    await clock.sleep(0)  # what was written leaves first: an abort would drop it
    fault.hit("chat")
    if fault.kind in {"gzip", "wrong_type"}:
        return True
    if fault.kind == "hold_between":
        await fault.held()
        return True
    if fault.kind == "malformed_chunk":
        await response.write(_MALFORMED)
        return True
    if fault.kind == "endless":
        *_, last = wire.events(answer)
        await _write_on(request, response, last)
    elif fault.kind == "error_chunk":
        await response.write(wire.broken(Refused(502, "Provider disconnected")))
        await response.write_eof()
    elif fault.kind == "truncate":
        await response.write_eof()
    else:
        abort(request, reset=bool(fault.options.get("reset", False)))
    return False


async def _endless(
    request: web.BaseRequest, headers: dict[str, Any], beginning: bytes, filling: bytes
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await response.write(beginning)
    await _write_on(request, response, filling)
    return response


async def _write_on(request: web.BaseRequest, response: web.StreamResponse, piece: bytes) -> None:
    """Write the same again and again until the other side has gone."""
    try:
        while request.transport is not None and not request.transport.is_closing():
            await response.write(piece)
    except ConnectionError:
        return
