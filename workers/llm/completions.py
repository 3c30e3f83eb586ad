"""Chat completions as servers really send them, read into a Completion: whole, or event by event."""

from __future__ import annotations

import json
from typing import Any, Final

from store.texts import storable
from workers.errors import ProviderUnavailable
from workers.llm.base import Completion, Usage
from workers.llm.refusals import Refusals

MAX_TEXT: Final = 4 * 1024 * 1024
"""Characters of one streamed answer; no chat takes more, and a server must not fill our memory."""


LONGEST_WORD: Final = 200
"""Characters of the model's name and of the reason of its end: they are stored with every turn, and shown."""


def read_whole(raw: bytes, model: str, refusals: Refusals) -> Completion:
    """Read a whole answer. Raises ProviderUnavailable when it holds none, or the error the server put in its place."""
    body = _parsed(raw)
    if body.get("error"):
        raise refusals.of_object(body["error"])
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise ProviderUnavailable("the model's server answered JSON of another shape")
    text = storable(_text_of(choice.get("message")))
    return _completion(text, _usage(body.get("usage")), body.get("model") or model, choice.get("finish_reason"))


class Gathering:
    """What a stream has said so far. `done` once the server has said that this was all."""

    __slots__ = ("_finish", "_half", "_model", "_refusals", "_size", "_texts", "_usage", "done")

    def __init__(self, model: str, refusals: Refusals) -> None:
        self.done = False
        self._texts: list[str] = []
        self._size = 0
        self._half = ""
        self._model: Any = model
        self._usage = Usage()
        self._finish: Any = None
        self._refusals = refusals

    def add(self, data: bytes) -> str:
        """Take one event's data, return the text it brought.

        Raises ProviderUnavailable when it is garbled, or the error it tells of.
        """
        if data.startswith(b"[DONE]"):
            self.done = True
            return ""
        chunk = _parsed(data)
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
        text = _text_of(choice.get("delta"))
        if self._half or not text.isascii():
            text = self._joined(text)
        if text:
            self._texts.append(text)
            self._size += len(text)
            if self._size > MAX_TEXT:
                raise ProviderUnavailable(f"the model's answer does not end (more than {MAX_TEXT} characters)")
        return text

    def _joined(self, text: str) -> str:
        """Keep back the first half of a character that was cut in two (an emoji in JSON escapes) for its second."""
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return storable(text.removesuffix(self._half) if self._half else text)

    def completion(self) -> Completion:
        """Return the whole answer. Raises ProviderUnavailable when the stream ended early or said nothing."""
        if not self.done and not self._finish:
            raise ProviderUnavailable("the model's answer was cut off")
        return _completion("".join(self._texts), self._usage, self._model, self._finish)


def _completion(text: str, usage: Usage, model: Any, finish: Any) -> Completion:
    model, finish = _word(model), _word(finish)
    if not text.strip():
        why = "; raise [llm] max_output_tokens" if finish == "length" else ""
        raise ProviderUnavailable(f"the model answered nothing (finish_reason {finish or 'unknown'}{why})")
    return Completion(text, usage, model, finish or "stop")


def _word(said: Any) -> str:
    """Return a server's name for something as text that can be stored, bounded; "" for none."""
    return storable(str(said or "")[:LONGEST_WORD])


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        raise ProviderUnavailable("the model's server answered what is not JSON") from None
    if not isinstance(parsed, dict):
        raise ProviderUnavailable("the model's server answered JSON of another shape")
    return parsed


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
    return Usage(_count(said.get("prompt_tokens")), _count(said.get("completion_tokens")), _count(cached))


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0
