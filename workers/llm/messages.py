"""Answers of the Messages API, read into a Completion: whole, or event by event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from store.texts import storable
from workers.llm.base import Block, Completion, Usage
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
    blocks = [_opened(block) for block in content if isinstance(block, dict)]
    text = storable("".join(["".join(block) for block in blocks if isinstance(block, list)]))
    calls = called([block for block in blocks if isinstance(block, Call)])
    return finished(
        text, _usage(body.get("usage")), body.get("model") or model, _end(body.get("stop_reason")), calls,
        tuple(_as_written(blocks)) if calls else (),
    )  # fmt: skip


class Thought:
    """Thoughts that are being written; signed, they are taken back by their server only as they came."""

    __slots__ = ("_block", "_pieces")

    def __init__(self, block: dict[str, Any]) -> None:
        self._block = {name: value for name, value in block.items() if isinstance(value, str)}
        self._pieces: list[str] = []

    def size(self) -> int:
        """Return how many characters it began with."""
        return sum(map(len, self._block.values()))

    def take(self, delta: dict[str, Any]) -> int:
        """Take what a delta brings; return how many characters it was."""
        piece, signature = delta.get("thinking"), delta.get("signature")
        if isinstance(piece, str):
            self._pieces.append(piece)
            return len(piece)
        if isinstance(signature, str):
            self._block["signature"] = signature
            return len(signature)
        return 0

    def done(self) -> dict[str, Any]:
        """Return the block as the server would have sent it whole."""
        if self._pieces:
            self._block["thinking"] = "".join([self._block.get("thinking", ""), *self._pieces])
            self._pieces.clear()
        return self._block


class Gathering:
    """What a stream has said so far. `begun` once a first token came, `done` once the server has said that this was all."""

    __slots__ = ("_blocks", "_finish", "_model", "_refusals", "_told", "_words", "begun", "done")

    def __init__(self, model: str, refusals: Refusals) -> None:
        self.begun = False
        self.done = False
        self._words = Words()
        self._blocks: dict[int, _Block] = {}
        self._model: Any = model
        self._told: dict[str, Any] = {}
        self._finish: Any = None
        self._refusals = refusals

    @property
    def size(self) -> int:
        """Return how many characters came so far, thoughts and calls included."""
        return self._words.size

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
        text, block = delta.get("text"), self._blocks.get(_place(event))
        if isinstance(text, str):
            text = self._words.take(text)
            if isinstance(block, list):
                block.append(text)
            return text
        piece = delta.get("partial_json")
        if isinstance(piece, str) and isinstance(block, Call):
            block.arguments.append(piece)
            self._words.grow(len(piece) + 1)
        elif isinstance(block, Thought):
            self._words.grow(block.take(delta))
        return ""

    def _begin(self, event: dict[str, Any]) -> str:
        begun = event.get("content_block")
        block = _opened(begun) if isinstance(begun, dict) else None
        if block is None:
            return ""
        self._blocks[_place(event)] = block
        if isinstance(block, list):
            block[:] = [self._words.take("".join(block))]
            return block[0]
        self.begun = True
        self._words.grow(1 if isinstance(block, Call) else block.size())
        return ""

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
        blocks = self._blocks.values()
        calls = called([block for block in blocks if isinstance(block, Call)])
        return finished(
            self._words.whole(), _usage(self._told), self._model, _end(self._finish), calls,
            tuple(_as_written(blocks)) if calls else (),
        )  # fmt: skip


_Block = list[str] | Call | Thought
"""Words, a call or thoughts, while they are written."""


def _opened(block: dict[str, Any]) -> _Block | None:
    """Return a block of an answer to be added to; None for one of another kind."""
    match block.get("type"):
        case "text":
            text = block.get("text")
            return [text] if isinstance(text, str) else []
        case "tool_use":
            return _call(block)
        case "thinking" | "redacted_thinking":
            return Thought(block)
        case _:
            return None


def _as_written(blocks: Iterable[_Block | None]) -> Iterator[Block]:
    """Yield what an answer is made of, in its order; calls by the ids `called` gives them."""
    number = 0
    for block in blocks:
        if isinstance(block, Thought):
            yield block.done()
        elif isinstance(block, list):
            yield storable("".join(block))
        elif block is not None:
            if block.name:
                yield block.done(number)
            number += 1


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
