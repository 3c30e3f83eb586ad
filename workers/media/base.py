"""What becomes of a file on its way to the model."""

from __future__ import annotations

from dataclasses import dataclass

from store.usage import Tokens
from workers.errors import MediaFailed
from workers.llm.base import Image

__all__ = ["MediaFailed", "Read", "Understood"]


@dataclass(frozen=True, slots=True)
class Read:
    """One file understood: as text, or as a picture."""

    text: str = ""
    image: Image | None = None
    used: Tokens | None = None
    """What a model that was asked for it counted."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A message, or the messages of an album, as the model is to see them.

    text is the question, with what was read out of files; images go along with it and are kept nowhere. refusal is the
    key of the text to say instead of asking the model, "" = ask. used is what it took to understand.
    """

    text: str
    images: tuple[Image, ...] = ()
    refusal: str = ""
    used: tuple[Tokens, ...] = ()
