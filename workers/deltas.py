"""An answer handed on while it is made, such that what was handed on is never taken back."""

from __future__ import annotations

import asyncio
from typing import Final

from workers.chat.engine import LONGEST_ANSWER

MOST: Final = LONGEST_ANSWER - 1
"""Characters handed on before the end is known: an answer that is longer is cut there."""


class Deltas:
    """Iterates over the pieces of one answer as its model says them; what is left of it comes from `rest`.

    A listener of the model. What a failed link had said is said again by the next one as far as it agrees with what was
    handed on already; nothing more is handed on as soon as it does not. With hold nothing is handed on at all: a model
    that may call tools says things that do not become the answer. `end` ends it.
    """

    __slots__ = ("_at", "_ended", "_held", "_new", "_taken", "_told", "_wake")

    def __init__(self, *, hold: bool) -> None:
        self._held = hold
        self._new: list[str] = []
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
        again = self._told[self._at : self._at + len(text)]
        if not text.startswith(again) or self._at + len(text) > MOST or not _whole(text):
            self._held = True
            return
        self._at += len(text)
        if len(again) < len(text):
            self._new.append(text[len(again) :])
            self._call()

    def restart(self) -> None:
        """Begin anew: what was not handed on yet is forgotten."""
        self._new.clear()
        self._told = "".join(self._taken)
        self._at = 0

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

    async def __anext__(self) -> str:
        """Return what was said since; never an empty text. Safe to cancel."""
        while not self._new:
            if self._ended:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        text = "".join(self._new)
        self._new.clear()
        self._taken.append(text)
        return text

    def rest(self, answer: str) -> str | None:
        """Return what of the whole answer was not handed on; None when something else was."""
        told = "".join(self._taken)
        return answer[len(told) :] if answer.startswith(told) else None


def _whole(text: str) -> bool:
    """Tell whether a text is stored as it is, whatever comes after it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
