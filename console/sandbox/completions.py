"""The wire form of OpenAI-compatible chat completions, and what any wire form is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web

from console.sandbox.answers import Refused, Reply, dump
from console.sandbox.thoughts import halves, signature, thought

_PIECE: Final = re.compile(r"\S+\s*|\s+")
_KINDS: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens as the double reports them; input_tokens holds the cached ones."""

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
class Said:
    """What is to be answered: a text, and (tool, arguments as JSON text) of calls."""

    text: str
    calls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the double, before it is put on the wire. created is Unix seconds.

    thinks: it was asked to (`thinking`); reasons: it was, as OpenRouter is (`reasoning`).
    """

    number: int
    model: str
    text: str
    finish_reason: str
    usage: Counted
    created: int
    stream: bool
    tell_usage: bool
    calls: tuple[tuple[str, str], ...] = ()
    thinks: bool = False
    reasons: bool = False

    def pieces(self) -> list[str]:
        """Return the text as a stream delivers it: word by word."""
        return _PIECE.findall(self.text)

    def call_id(self, number: int) -> str:
        """Return the id of one of its calls."""
        return f"call_{self.number}_{number}"


class Wire(Protocol):
    """One API's form of questions, answers and refusals."""

    def key(self, request: web.BaseRequest) -> str:
        """Return the key a request came with."""
        ...

    def check(self, request: web.BaseRequest, body: dict[str, Any]) -> None:
        """Look at what only this API asks of a request. Raises Refused."""
        ...

    def refused(self, refusal: Refused) -> Reply:
        """Put a refusal on the wire; a flood carries Retry-After."""
        ...

    def broken(self, refusal: Refused) -> bytes:
        """Return the event that ends a stream with an error."""
        ...

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return the answer as one object."""
        ...

    def events(self, answer: Answer) -> Iterator[bytes]:
        """Yield the stream's events up to the last piece of text: first what comes before any."""
        ...

    def ending(self, answer: Answer) -> Iterator[bytes]:
        """Yield what ends a stream: calls, the reason, the usage, the mark."""
        ...


class ChatWire:
    """OpenAI's chat completions."""

    def key(self, request: web.BaseRequest) -> str:
        """Return the key a request came with."""
        return request.headers.get("Authorization", "").removeprefix("Bearer ")

    def check(self, request: web.BaseRequest, body: dict[str, Any]) -> None:
        """See that results of tools follow the calls they belong to, and calls their thoughts. Raises Refused."""
        open_calls: set[str] = set()
        thinks = asked_to_think(body)
        for message in body["messages"]:
            if message.get("role") == "tool" and message.get("tool_call_id") not in open_calls:
                raise Refused(
                    400, "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                )
            called = [call["id"] for call in message.get("tool_calls") or ()]
            _check_thoughts(message, called, thinks=thinks)
            open_calls.update(called)

    def refused(self, refusal: Refused) -> Reply:
        """Put a refusal on the wire; a flood carries Retry-After."""
        return Reply(refusal.code, dump(_error(refusal)).encode(), retry_after=refusal.retry_after)

    def broken(self, refusal: Refused) -> bytes:
        """Return the event that ends a stream with an error."""
        return event(_error(refusal))

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return the answer as one object."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text or None,
            "refusal": None,
            **_thoughts(answer),
        }
        if answer.calls:
            message["tool_calls"] = [_call(answer, number) for number in range(len(answer.calls))]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(answer)}
        return {**_head(answer, "chat.completion"), "choices": [choice], "usage": answer.usage.shape()}

    def events(self, answer: Answer) -> Iterator[bytes]:
        """Yield the stream's events up to the last piece of text: first what comes before any."""
        yield b"".join(
            [
                _chunk(answer, {"role": "assistant", "content": ""}),
                *(_chunk(answer, delta) for delta in _thinking(answer)),
            ]
        )
        for piece in answer.pieces():
            yield _chunk(answer, {"content": piece})

    def ending(self, answer: Answer) -> Iterator[bytes]:
        """Yield what ends a stream: calls in pieces, the reason, the usage where asked for, the mark."""
        for number, (_, arguments) in enumerate(answer.calls):
            call = {"index": number, **_call(answer, number)}
            call["function"] = {**call["function"], "arguments": ""}
            yield _chunk(answer, {"tool_calls": [call]})
            for part in halves(arguments):
                yield _chunk(answer, {"tool_calls": [{"index": number, "function": {"arguments": part}}]})
        yield _chunk(answer, {}, _reason(answer))
        if answer.tell_usage:
            yield event({**_head(answer, "chat.completion.chunk"), "choices": [], "usage": answer.usage.shape()})
        yield b"data: [DONE]\n\n"


def asked_to_think(body: dict[str, Any]) -> bool:
    """Tell whether a request has thinking switched on, in the form both APIs share."""
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "enabled"


def _thoughts(answer: Answer) -> dict[str, Any]:
    """Return the fields of a message that hold what the double thought: DeepSeek's way, OpenRouter's, or none."""
    thinking = thought(answer.number)
    if answer.thinks:
        return {"reasoning_content": thinking}
    if not answer.reasons:
        return {}
    read = {
        "type": "reasoning.text",
        "text": thinking,
        "signature": signature(thinking),
        "format": "double",
        "index": 0,
    }
    hidden = {"type": "reasoning.encrypted", "data": signature(""), "id": None, "format": "double", "index": 1}
    return {"reasoning": thinking, "reasoning_details": [read, hidden]}


def _thinking(answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield the deltas of the same: texts in pieces, the signature after them, what is encrypted whole."""
    said = _thoughts(answer)
    if answer.thinks:
        yield from ({"content": None, "reasoning_content": part} for part in ("", *halves(said["reasoning_content"])))
    if answer.reasons:
        read, hidden = said["reasoning_details"]
        bare = {"type": read["type"], "format": read["format"], "index": read["index"]}
        for part in halves(read["text"]):
            yield {"content": "", "reasoning": part, "reasoning_details": [{**bare, "text": part, "signature": None}]}
        yield {"content": "", "reasoning_details": [{**bare, "signature": read["signature"]}, hidden]}


def _check_thoughts(message: dict[str, Any], called: list[str], *, thinks: bool) -> None:
    """See that thoughts come back as they left, with the calls they led to. Raises Refused."""
    number = re.fullmatch(r"call_(\d+)_\d+", called[0]) if thinks and called else None
    if thinks and called and (number is None or message.get("reasoning_content") != thought(int(number[1]))):
        raise Refused(400, "The `reasoning_content` in the thinking mode must be passed back to the API.")
    for block in message.get("reasoning_details") or ():
        signed = block.get("signature") if block.get("type") == "reasoning.text" else block.get("data")
        if signed != signature(block.get("text", "")):
            raise Refused(400, "Invalid `signature` in `thinking` block")


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{answer.number}", "object": kind, "created": answer.created, "model": answer.model}


def _chunk(answer: Answer, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return event({**_head(answer, "chat.completion.chunk"), "choices": [choice]})


def _call(answer: Answer, number: int) -> dict[str, Any]:
    name, arguments = answer.calls[number]
    return {"id": answer.call_id(number), "type": "function", "function": {"name": name, "arguments": arguments}}


def _reason(answer: Answer) -> str:
    return "tool_calls" if answer.calls else answer.finish_reason


def _error(refusal: Refused) -> dict[str, Any]:
    kind, code = _KINDS.get(refusal.code, ("server_error" if refusal.code >= 500 else "invalid_request_error", None))
    return {"error": {"message": refusal.description, "type": kind, "param": None, "code": code}}


def event(data: Any) -> bytes:
    """Write one server-sent event."""
    return f"data: {dump(data)}\n\n".encode()
