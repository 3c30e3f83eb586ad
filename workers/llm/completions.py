"""Chat completions as servers really send them, read into a Completion: whole, or event by event."""

from __future__ import annotations

import json
from typing import Any

from store.texts import storable
from workers.llm.base import Completion, ToolCall, Usage
from workers.llm.reading import Call, Words, called, count, cut_off, finished, other_shape, parsed
from workers.llm.reasoning import NAMES, Reasoning, thoughts_of
from workers.llm.refusals import Refusals

NOT_SPOKEN = frozenset({"role", "content", "refusal"})
"""Keys of a delta that may stand in it without a word having been said."""


def read_whole(raw: bytes, model: str, refusals: Refusals) -> Completion:
    """Read a whole answer. Raises ProviderUnavailable when it holds none, or the error the server put in its place."""
    body = parsed(raw)
    if body.get("error"):
        raise refusals.of_object(body["error"])
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise other_shape()
    message = choice.get("message")
    text, calls = storable(_text_of(message)), _calls_of(message)
    return finished(
        text, _usage(body.get("usage")), body.get("model") or model, choice.get("finish_reason"), calls,
        thoughts_of(message) if calls else (),
    )  # fmt: skip


class Gathering:
    """What a stream has said so far. `begun` once a first token came, `done` once the server has said that this was all."""

    __slots__ = (
        "_calls",
        "_finish",
        "_model",
        "_places",
        "_reasoning",
        "_refusals",
        "_usage",
        "_words",
        "begun",
        "done",
    )

    def __init__(self, model: str, refusals: Refusals) -> None:
        self.begun = False
        self.done = False
        self._words = Words()
        self._calls: list[Call] = []
        self._places: dict[Any, Call] = {}
        self._reasoning = Reasoning()
        self._model: Any = model
        self._usage = Usage()
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
        if data.startswith(b"[DONE]"):
            self.done = True
            return ""
        chunk = parsed(data)
        if chunk.get("error"):
            raise self._refusals.of_object(chunk["error"])
        if chunk.get("usage"):
            self._usage = _usage(chunk["usage"])
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return ""
        self._model = chunk.get("model") or self._model
        return self._take(choices[0])

    def _take(self, choice: dict[str, Any]) -> str:
        if choice.get("index"):
            return ""  # a second answer nobody asked for
        self._finish = choice.get("finish_reason") or self._finish
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return ""
        if "tool_calls" in delta:
            self._take_calls(delta["tool_calls"])
        if not NAMES.isdisjoint(delta):
            self._words.grow(self._reasoning.take(delta))
        text = self._words.take(_text_of(delta))
        if not self.begun:  # thoughts, which are not shown, are a sign of life all the same
            self.begun = bool(text) or any(value for name, value in delta.items() if name not in NOT_SPOKEN)
        return text

    def _take_calls(self, deltas: Any) -> None:
        for delta in deltas if isinstance(deltas, list) else ():
            if isinstance(delta, dict):
                self._take_call(delta)

    def _take_call(self, delta: dict[str, Any]) -> None:
        """Add a piece to the call it belongs to. Some servers give each call the same index, or none, but an id."""
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        place, call_id = delta.get("index"), delta.get("id")
        place = place if isinstance(place, int) else None
        call = self._places.get(place)
        if call is None or (call_id and call.id and call_id != call.id):
            call = self._places[place] = Call(call_id, function.get("name"))
            self._calls.append(call)
        piece = _arguments(function.get("arguments"))
        if piece:
            call.arguments.append(piece)
        self._words.grow(len(piece) + 1)

    def completion(self) -> Completion:
        """Return the whole answer. Raises ProviderUnavailable when the stream ended early or said nothing."""
        if not self.done and not self._finish:
            raise cut_off()
        calls = called(self._calls)
        verbatim = self._reasoning.done() if calls else ()
        return finished(self._words.whole(), self._usage, self._model, self._finish, calls, verbatim)


def _calls_of(message: Any) -> tuple[ToolCall, ...]:
    said = message.get("tool_calls") if isinstance(message, dict) else None
    calls = []
    for each in said if isinstance(said, list) else ():
        function = each.get("function") if isinstance(each, dict) else None
        if isinstance(function, dict):
            call = Call(each.get("id"), function.get("name"))
            call.arguments.append(_arguments(function.get("arguments")))
            calls.append(call)
    return called(calls)


def _arguments(said: Any) -> str:
    """Return arguments as text; some servers send them as an object."""
    if isinstance(said, str):
        return said
    return json.dumps(said) if isinstance(said, dict) else ""


def _text_of(message: Any) -> str:
    """Return what a message or delta says: its content (a string, or parts of text), else its refusal."""
    if not isinstance(message, dict):
        return ""
    said = message.get("content") or message.get("refusal") or ""
    if isinstance(said, list):
        said = "".join(p["text"] for p in said if isinstance(p, dict) and isinstance(p.get("text"), str))
    return said if isinstance(said, str) else ""


def _usage(said: Any) -> Usage:
    if not isinstance(said, dict):
        return Usage()
    details = said.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(count(said.get("prompt_tokens")), count(said.get("completion_tokens")), count(cached))
