"""The wire form of OpenAI-compatible chat completions: whole, streamed, refused, and broken in the middle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from console.sandbox.answers import Refused, Reply, dump
from console.sandbox.faults import Fault
from console.sandbox.strike import CUT_HEAD, abort, cut
from workers.clock import Clock

_PIECE: Final = re.compile(r"\S+\s*|\s+")
_KINDS: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens as the double reports them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0

    def shape(self) -> dict[str, Any]:
        """Return the `usage` object."""
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the double, before it is put on the wire. created is Unix seconds."""

    number: int
    model: str
    text: str
    finish_reason: str
    usage: Counted
    created: int
    stream: bool
    tell_usage: bool

    def pieces(self) -> list[str]:
        """Return the text as a stream delivers it: word by word."""
        return _PIECE.findall(self.text)

    def whole(self) -> dict[str, Any]:
        """Return the answer as one object."""
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage.shape()}

    def events(self) -> Iterator[bytes]:
        """Yield the stream's events up to the last piece of text."""
        yield self._chunk({"role": "assistant", "content": ""})
        for piece in self.pieces():
            yield self._chunk({"content": piece})

    def ending(self) -> Iterator[bytes]:
        """Yield what ends a stream: the reason, the usage where asked for, the mark."""
        yield self._chunk({}, self.finish_reason)
        if self.tell_usage:
            yield event({**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage.shape()})
        yield b"data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.number}", "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event({**self._head("chat.completion.chunk"), "choices": [choice]})


def event(data: Any) -> bytes:
    """Write one server-sent event."""
    return f"data: {dump(data)}\n\n".encode()


def error_object(refusal: Refused) -> dict[str, Any]:
    """Word a refusal as OpenAI does."""
    kind, code = _KINDS.get(refusal.code, ("server_error" if refusal.code >= 500 else "invalid_request_error", None))
    return {"error": {"message": refusal.description, "type": kind, "param": None, "code": code}}


def refused_completion(refusal: Refused) -> Reply:
    """Put a refusal on the wire; a flood carries Retry-After."""
    return Reply(refusal.code, dump(error_object(refusal)).encode(), retry_after=refusal.retry_after)


async def stream(
    request: web.BaseRequest, answer: Answer, fault: Fault | None, clock: Clock, piece_delay_s: float
) -> web.StreamResponse:
    """Send an answer as server-sent events, letting fault happen at its piece."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    at = -1 if fault is None else int(fault.options.get("after_pieces", len(answer.pieces()) // 2))
    for place, part in enumerate(answer.events()):
        await response.write(part)
        if place == at and fault is not None and not await _break(request, response, fault, clock):
            return response
        if piece_delay_s and place:
            await clock.sleep(piece_delay_s)
    await response.write(b"".join(answer.ending()))
    await response.write_eof()
    return response


async def _break(request: web.BaseRequest, response: web.StreamResponse, fault: Fault, clock: Clock) -> bool:
    """Let fault happen in the middle; tell whether the stream goes on."""
    await clock.sleep(0)  # what was written leaves first: an abort would drop it
    fault.hit("chat")
    if fault.kind == "hold_between":
        await fault.held()
        return True
    if fault.kind == "malformed_chunk":
        await response.write(b'data: {"id":"chatcmpl-x","choices":[{"index":0,"del\n\n')
        return True
    if fault.kind == "error_chunk":
        await response.write(event(error_object(Refused(502, "Provider disconnected"))))
        await response.write_eof()
        return False
    abort(request, reset=bool(fault.options.get("reset", False)))
    return False


def cut_whole(request: web.BaseRequest, answer: Answer, fault: Fault) -> None:
    """Send half of a whole answer and end the connection."""
    text = dump(answer.whole()).encode()
    cut(request, CUT_HEAD + text[: len(text) // 2])
    fault.hit("chat")
