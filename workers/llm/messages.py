"""Answers of the Messages API, read into a Completion: whole, or event by event."""

from __future__ import annotations

import json
from typing import Any, Final

from store.texts import storable
from workers.llm.base import Completion, Usage
from workers.llm.reading import Call, Words, called, count, cut_off, finished, other_shape, parsed
from workers.llm.refusals import Refusals

_ENDS: Final = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
"""Reasons for an end in the words the other API uses."""


def read_whole(raw: bytes, model: str, refusals: Refusals) -> Completion:
    """Read a whole answer. Raises ProviderUnavailable when it holds none, or the error the server put in its place."""
    body = parsed(raw)
    if body.get("type") == "error" or body.get("error"):
        raise refusals.of_object(body.get("error"))
    content = body.get("content")
    if not isinstance(content, list):
        raise other_shape()
    blocks = [block for block in content if isinstance(block, dict)]
    texts = [b["text"] for b in blocks if b.get("type") == "text" and isinstance(b.get("text"), str)]
    calls = called([_call(b) for b in blocks if b.get("type") == "tool_use"])
    text = storable("".join(texts))
    return finished(text, _usage(body.get("usage")), body.get("model") or model, _end(body.get("stop_reason")), calls)


class Gathering:
    """What a stream has said so far. `begun` once a first token came, `done` once the server has said that this was all."""

    __slots__ = ("_calls", "_finish", "_model", "_refusals", "_told", "_words", "begun", "done")

    def __init__(self, model: str, refusals: Refusals) -> None:
        self.begun = False
        self.done = False
        self._words = Words()
        self._calls: dict[Any, Call] = {}
        self._model: Any = model
        self._told: dict[str, Any] = {}
        self._finish: Any = None
        self._refusals = refusals

    def add(self, data: bytes) -> str:
        """Take one event's data, return the text it brought.

        Raises ProviderUnavailable when it is garbled, or the error it tells of.
        """
        event = parsed(data)
        kind = event.get("type")
        if kind == "content_block_delta":
            return self._take(event)
        if kind == "content_block_start":
            return self._begin(event)
        if kind == "message_start":
            self._head(event.get("message"))
        elif kind == "message_delta":
            self._tail(event)
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":
            raise self._refusals.of_object(event.get("error"))
        return ""

    def _take(self, event: dict[str, Any]) -> str:
        self.begun = True
        delta = event.get("delta")
        if not isinstance(delta, dict):
            return ""
        text = delta.get("text")
        if isinstance(text, str):
            return self._words.take(text)
        piece, call = delta.get("partial_json"), self._called(event)
        if isinstance(piece, str) and call is not None:
            call.arguments.append(piece)
            self._words.grow(len(piece) + 1)
        return ""

    def _begin(self, event: dict[str, Any]) -> str:
        block = event.get("content_block")
        if not isinstance(block, dict):
            return ""
        if block.get("type") == "tool_use":
            self.begun = True
            self._calls[_place(event)] = _call(block)
            self._words.grow(1)
        text = block.get("text")
        return self._words.take(text) if isinstance(text, str) else ""

    def _called(self, event: dict[str, Any]) -> Call | None:
        return self._calls.get(_place(event))

    def _head(self, message: Any) -> None:
        if isinstance(message, dict):
            self._model = message.get("model") or self._model
            self._count(message.get("usage"))

    def _tail(self, event: dict[str, Any]) -> None:
        delta = event.get("delta")
        if isinstance(delta, dict):
            self._finish = delta.get("stop_reason") or self._finish
        self._count(event.get("usage"))

    def _count(self, usage: Any) -> None:
        """Note counts; a later event tells them anew, and not all of them."""
        if isinstance(usage, dict):
            self._told |= {name: value for name, value in usage.items() if value is not None}

    def completion(self) -> Completion:
        """Return the whole answer. Raises ProviderUnavailable when the stream ended early or said nothing."""
        if not self.done and not self._finish:
            raise cut_off()
        calls = called(list(self._calls.values()))
        return finished(self._words.whole(), _usage(self._told), self._model, _end(self._finish), calls)


def _place(event: dict[str, Any]) -> int:
    place = event.get("index")
    return place if isinstance(place, int) else -1


def _call(block: dict[str, Any]) -> Call:
    call = Call(block.get("id"), block.get("name"))
    given = block.get("input")
    if isinstance(given, dict) and given:
        call.arguments.append(json.dumps(given))
    return call


def _end(reason: Any) -> Any:
    return _ENDS.get(reason, reason) if isinstance(reason, str) else reason


def _usage(said: Any) -> Usage:
    """Return the counts; what was read from the cache or written into it is not in input_tokens here."""
    if not isinstance(said, dict):
        return Usage()
    cached = count(said.get("cache_read_input_tokens"))
    fresh = count(said.get("input_tokens")) + count(said.get("cache_creation_input_tokens"))
    return Usage(fresh + cached, count(said.get("output_tokens")), cached)
