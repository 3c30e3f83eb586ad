"""What all answers have in common, whichever API they come by: text that can be stored, calls, counts, bounds."""

from __future__ import annotations

from typing import Any, Final

from store.texts import storable
from workers.encoding import decoded
from workers.errors import AnswerUnusable, ProviderUnavailable, RequestRefused
from workers.llm.base import Block, Completion, ToolCall, Usage

MAX_TEXT: Final = 1024 * 1024
"""Characters of one streamed answer, its calls included, as many as of a whole one: streams are read side by side, one for
each chat of a bot, and a server must not fill our memory."""

LONGEST_WORD: Final = 200
"""Characters of the model's name, of the reason of its end and of a call's names: they are stored, and shown."""

MOST_CALLS: Final = 128
"""Calls of one answer."""

_WILL_NOT: Final = frozenset({"content_filter", "refusal"})
"""Reasons for an end that say that no other try ends better."""


class Words:
    """The text of a stream, piece by piece, and how much there is of everything."""

    __slots__ = ("_half", "_texts", "size")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.size = 0
        self._half = ""

    def take(self, text: str) -> str:
        """Return what of a piece can be shown now. Raises AnswerUnusable for an answer without end."""
        if self._half or not text.isascii():
            text = self._joined(text)
        if text:
            self._texts.append(text)
            self.grow(len(text))
        return text

    def grow(self, size: int) -> None:
        """Count characters that came. Raises AnswerUnusable for an answer without end."""
        self.size += size
        if self.size > MAX_TEXT:
            raise AnswerUnusable(f"the model's answer does not end (more than {MAX_TEXT} characters)")

    def _joined(self, text: str) -> str:
        """Keep back the first half of a character that was cut in two (an emoji in JSON escapes) for its second."""
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return storable(text.removesuffix(self._half) if self._half else text)

    def whole(self) -> str:
        """Return all of it."""
        return "".join(self._texts)


class Call:
    """A call that is being written; its arguments come in pieces."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self, call_id: Any, name: Any) -> None:
        self.id = word(call_id)
        self.name = word(name)
        self.arguments: list[str] = []

    def done(self, number: int) -> ToolCall:
        """Return the call; number stands in for an id a server left out."""
        return ToolCall(self.id or f"call_{number}", self.name, storable("".join(self.arguments)) or "{}")


def called(calls: list[Call]) -> tuple[ToolCall, ...]:
    """Return those calls that name a tool. Raises AnswerUnusable for more than any answer needs."""
    if len(calls) > MOST_CALLS:
        raise AnswerUnusable(f"the model made more than {MOST_CALLS} calls at once")
    return tuple(call.done(number) for number, call in enumerate(calls) if call.name)


def finished(
    text: str,
    usage: Usage,
    model: Any,
    finish: Any,
    calls: tuple[ToolCall, ...] = (),
    verbatim: tuple[Block, ...] = (),
) -> Completion:
    """Return a whole answer. Raises AnswerUnusable for one that says nothing, RequestRefused when it is not to be had."""
    model, finish = word(model), word(finish)
    if not text.strip() and not calls:
        if finish in _WILL_NOT:
            raise RequestRefused(f"the model answered nothing: it refuses to (finish_reason {finish})")
        why = "; raise [llm] max_output_tokens" if finish == "length" else ""
        raise AnswerUnusable(f"the model answered nothing (finish_reason {finish or 'unknown'}{why})")
    return Completion(text, usage, model, finish or "stop", calls, verbatim)


def cut_off() -> ProviderUnavailable:
    """Return the error for a stream that ended without its end mark."""
    return ProviderUnavailable("the model's answer was cut off")


def word(said: Any) -> str:
    """Return a server's name for something as text that can be stored, bounded; "" for none."""
    return storable(str(said or "")[:LONGEST_WORD])


def parsed(raw: bytes) -> dict[str, Any]:
    """Return the object a server sent. Raises ProviderUnavailable for anything else."""
    try:
        value = decoded(raw)
    except (ValueError, RecursionError):
        raise ProviderUnavailable("the model's server answered what is not JSON") from None
    if not isinstance(value, dict):
        raise other_shape()
    return value


def other_shape() -> ProviderUnavailable:
    """Return the error for JSON that is no answer."""
    return ProviderUnavailable("the model's server answered JSON of another shape")


def count(value: Any) -> int:
    """Return a number of tokens; 0 for what is none."""
    return value if type(value) is int and 0 <= value < 2**53 else 0
