"""An answer handed on while it is made, such that what was handed on is never taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from workers.chat.engine import LONGEST_ANSWER

if TYPE_CHECKING:
    from workers.clock import Clock

MOST: Final = LONGEST_ANSWER - 1
"""Characters handed on before the end is known: an answer that is longer is cut there."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """What was handed on so far is no part of the answer: a tool was called after it, or it came of a failed model."""


@dataclass(frozen=True, slots=True)
class ToolStep:
    """A tool called for the answer: once when that begins, once when it has ended. number tells calls of one name apart.

    duration_s is 0 at the beginning.
    """

    number: int
    name: str
    state: Literal["begun", "done", "failed"]
    duration_s: float = 0.0


Note = Restarted | ToolStep
"""What a reader is told between pieces."""


class Deltas:
    """Iterates over the pieces of one answer as its model says them; what is left of it comes from `rest`.

    A listener of the model. What a failed link had said is said again by the next one as far as it agrees with what was
    handed on already; nothing more is handed on as soon as it does not. With hold nothing is handed on at all: a model
    that may call tools says things that do not become the answer. `end` ends it.
    """

    __slots__ = ("_at", "_ended", "_held", "_new", "_taken", "_told", "_wake")

    def __init__(self, *, hold: bool = False) -> None:
        self._held = hold
        self._new: list[str | Note] = []
        self._taken: list[str] = []
        self._told = ""
        """What was handed on when the model began anew: it has to say so much again."""
        self._at = 0
        """How much this attempt has said, at least up to the end of `_told`."""
        self._ended = False
        self._wake: asyncio.Future[None] | None = None

    # --- the model's side --------------------------------------------------------------------------------------

    def piece(self, text: str) -> None:
        """Take what the model said next."""
        if self._held or not text:
            return
        if self._at + len(text) > MOST or not _whole(text):
            self._held = True
            return
        again = self._told[self._at : self._at + len(text)]
        if text.startswith(again):
            self._at += len(text)
            self._tell(text[len(again) :])
        else:
            self._differ(text)

    def _differ(self, text: str) -> None:
        """Meet a text that does not agree with what was handed on."""
        self._held = True

    def restart(self) -> None:
        """Begin anew: what was not handed on yet is forgotten."""
        self._new = [new for new in self._new if not isinstance(new, str)]
        self._told = "".join(self._taken)
        self._at = 0

    def _tell(self, new: str | Note) -> None:
        if new:
            self._new.append(new)
            self._call()

    def end(self, _: object = None) -> None:
        """Let the iteration end."""
        self._ended = True
        self._call()

    def _call(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- the reader's side -------------------------------------------------------------------------------------

    def __aiter__(self) -> Deltas:
        """Iterate, once."""
        return self

    async def __anext__(self) -> str | Note:
        """Return what was said since, or a note, in their order; never an empty text. Safe to cancel."""
        while not self._new:
            if self._ended:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        texts = _texts(self._new)
        if not texts:
            return self._new.pop(0)
        del self._new[: len(texts)]
        text = "".join(texts)
        self._taken.append(text)
        return text

    def rest(self, answer: str) -> str | None:
        """Return what of the whole answer was not handed on; None when something else was."""
        told = "".join(self._taken)
        return answer[len(told) :] if answer.startswith(told) else None


class Course(Deltas):
    """Iterates over the course of one answer: its pieces in every round of tools, and the calls of tools.

    Whoever reads it can take back: where the model goes on otherwise than it was handed on, there comes a Restarted, and
    all of what was said instead. A listener of the model and of its tools.
    """

    __slots__ = ("_calls", "_clock")

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._calls = 0

    def calling(self, tool: str) -> Callable[[str], None]:
        """Tell that a tool is called; return what is to be told how that ended ("" = well)."""
        began, self._calls = self._clock.monotonic(), self._calls + 1
        number = self._calls
        self._tell(ToolStep(number, tool, "begun"))

        def end(error: str) -> None:
            took_s = self._clock.monotonic() - began
            self._tell(ToolStep(number, tool, "failed" if error else "done", took_s))

        return end

    def _differ(self, text: str) -> None:
        said = self._told[: self._at] + text
        self._taken.clear()
        self._told, self._at = "", len(said)
        self._tell(Restarted())
        self._tell(said)


def _texts(new: list[str | Note]) -> list[str]:
    """Return the texts before the first note."""
    texts = []
    for each in new:
        if not isinstance(each, str):
            break
        texts.append(each)
    return texts


def _whole(text: str) -> bool:
    """Tell whether a text is stored as it is, whatever comes after it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
