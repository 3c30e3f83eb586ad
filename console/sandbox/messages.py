"""The wire form of Anthropic's Messages API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web

from console.sandbox.answers import Refused, Reply, dump
from console.sandbox.completions import Answer
from console.sandbox.thoughts import halves, signature, thought

_KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_REASONS: Final = {"stop": "end_turn", "length": "max_tokens"}


class MessagesWire:
    """Anthropic's messages, as strict about what it is asked as the real ones."""

    def key(self, request: web.BaseRequest) -> str:
        """Return the key a request came with."""
        return request.headers.get("x-api-key", "")

    def check(self, request: web.BaseRequest, body: dict[str, Any]) -> None:
        """Look at version, limit, roles, blocks and the results of tools. Raises Refused."""
        if "anthropic-version" not in request.headers:
            raise Refused(400, "anthropic-version: header is required")
        if not isinstance(body.get("max_tokens"), int):
            raise Refused(400, "max_tokens: Field required")
        open_calls: set[str] = set()
        for place, message in enumerate(body["messages"]):
            role = message.get("role")
            if role not in {"user", "assistant"} or (not place and role != "user"):
                raise Refused(400, f"messages.{place}.role: unexpected role {role!r}")
            open_calls = _open_calls(place, message, open_calls, tools=bool(body.get("tools")))
            _check_thoughts(place, message, thinking=bool(body.get("thinking")))

    def refused(self, refusal: Refused) -> Reply:
        """Put a refusal on the wire; a flood carries retry-after."""
        return Reply(refusal.code, dump(_error(refusal)).encode(), retry_after=refusal.retry_after)

    def broken(self, refusal: Refused) -> bytes:
        """Return the event that ends a stream with an error."""
        return _event(_error(Refused(529, "Overloaded") if refusal.code >= 500 else refusal))

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return the answer as one object."""
        content = _thoughts(answer)
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        for number, (name, arguments) in enumerate(answer.calls):
            given = json.loads(arguments or "{}")
            content.append({"type": "tool_use", "id": answer.call_id(number), "name": name, "input": given})
        return {**_head(answer), "content": content, "stop_reason": _reason(answer), "usage": _usage(answer)}

    def events(self, answer: Answer) -> Iterator[bytes]:
        """Yield the stream's events up to the last piece of text: first what comes before any."""
        usage = {**_usage(answer), "output_tokens": 1}
        message = {**_head(answer), "content": [], "stop_reason": None, "usage": usage}
        thoughts, block = _thoughts(answer), {"type": "text", "text": ""}
        yield b"".join(
            (
                _event({"type": "message_start", "message": message}),
                *(event for place, each in enumerate(thoughts) for event in _thought_events(place, each)),
                _event({"type": "content_block_start", "index": len(thoughts), "content_block": block}),
                _event({"type": "ping"}),
            )
        )
        for piece in answer.pieces():
            delta = {"type": "text_delta", "text": piece}
            yield _event({"type": "content_block_delta", "index": len(thoughts), "delta": delta})

    def ending(self, answer: Answer) -> Iterator[bytes]:
        """Yield what ends a stream: calls in pieces, the reason, the usage, the mark."""
        before = len(_thoughts(answer))
        yield _event({"type": "content_block_stop", "index": before})
        for number, (name, arguments) in enumerate(answer.calls):
            place, head = (
                before + number + 1,
                {"type": "tool_use", "id": answer.call_id(number), "name": name, "input": {}},
            )
            yield _event({"type": "content_block_start", "index": place, "content_block": head})
            for part in ("", *halves(arguments)):
                delta = {"type": "input_json_delta", "partial_json": part}
                yield _event({"type": "content_block_delta", "index": place, "delta": delta})
            yield _event({"type": "content_block_stop", "index": place})
        end = {"stop_reason": _reason(answer), "stop_sequence": None}
        usage = {"output_tokens": answer.usage.output_tokens}
        yield _event({"type": "message_delta", "delta": end, "usage": usage})
        yield _event({"type": "message_stop"})


def _thoughts(answer: Answer) -> list[dict[str, Any]]:
    """Return what the double thinks where it was asked to, signed: some to be read, some not."""
    if not answer.thinks:
        return []
    thinking = thought(answer.number)
    return [
        {"type": "thinking", "thinking": thinking, "signature": signature(thinking)},
        {"type": "redacted_thinking", "data": signature("")},
    ]


def _thought_events(place: int, block: dict[str, Any]) -> Iterator[bytes]:
    shown = block["type"] == "thinking"
    begun = {"type": "thinking", "thinking": "", "signature": ""} if shown else block
    yield _event({"type": "content_block_start", "index": place, "content_block": begun})
    if shown:
        for part in halves(block["thinking"]):
            delta = {"type": "thinking_delta", "thinking": part}
            yield _event({"type": "content_block_delta", "index": place, "delta": delta})
        delta = {"type": "signature_delta", "signature": block["signature"]}
        yield _event({"type": "content_block_delta", "index": place, "delta": delta})
    yield _event({"type": "content_block_stop", "index": place})


def _check_thoughts(place: int, message: dict[str, Any], *, thinking: bool) -> None:
    """See that thoughts come back as they left, in front of the calls they led to. Raises Refused."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    kinds = [block.get("type") for block in blocks]
    if thinking and "tool_use" in kinds and kinds[0] not in {"thinking", "redacted_thinking"}:
        raise Refused(400, f"messages.{place}.content.0.type: Expected `thinking` or `redacted_thinking`")
    for block in blocks:
        signed = block.get("signature") if block.get("type") == "thinking" else block.get("data")
        if block.get("type") in {"thinking", "redacted_thinking"} and signed != signature(block.get("thinking", "")):
            raise Refused(400, f"messages.{place}: Invalid `signature` in `thinking` block")


def _open_calls(place: int, message: dict[str, Any], open_calls: set[str], *, tools: bool) -> set[str]:
    """Return the ids of the calls a message makes, once it has answered those before it. Raises Refused."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    if any(block.get("type") == "text" and not str(block.get("text") or "").strip() for block in blocks):
        raise Refused(400, f"messages.{place}: text content blocks must be non-empty")
    answered = {str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"}
    if answered != open_calls:
        raise Refused(400, f"messages.{place}: `tool_use` ids and `tool_result` blocks do not match")
    called = {str(block.get("id")) for block in blocks if block.get("type") == "tool_use"}
    if (called or answered) and not tools:
        raise Refused(400, "Requests which include `tool_use` or `tool_result` blocks must define tools")
    return called


def _head(answer: Answer) -> dict[str, Any]:
    return {"id": f"msg_{answer.number}", "type": "message", "role": "assistant", "model": answer.model}


def _reason(answer: Answer) -> str:
    return "tool_use" if answer.calls else _REASONS.get(answer.finish_reason, answer.finish_reason)


def _usage(answer: Answer) -> dict[str, int]:
    told = answer.usage
    return {
        "input_tokens": told.input_tokens - told.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": told.cached_tokens,
        "output_tokens": told.output_tokens,
    }


def _error(refusal: Refused) -> dict[str, Any]:
    return {"type": "error", "error": {"type": _KINDS.get(refusal.code, "api_error"), "message": refusal.description}}


def _event(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {dump(data)}\n\n".encode()
