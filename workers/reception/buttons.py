"""Buttons under messages: what they carry says what pressing them means; the words are found on the button itself.

What they carry is at most 64 bytes, so it names a meaning and a number, never a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from workers.reception.outcomes import Buttons

SAY: Final = "say:"
"""Pressing it is as if the person had said what stands on it."""
FORGET: Final = "forget:"
"""Confirms /forget; the person's number follows."""
MODEL: Final = "model:"
"""Chooses the model whose name stands on it."""

LONGEST_TEXT: Final = 64
"""Characters of a suggestion; phones cut longer ones."""
MOST: Final = 20


def suggestions(texts: Iterable[str]) -> Buttons:
    """Return buttons that say what stands on them."""
    return _numbered(SAY, texts)


def choices(models: Iterable[str]) -> Buttons:
    """Return buttons that choose a model."""
    return _numbered(MODEL, models)


def confirm_forget(text: str, user_id: int) -> Buttons:
    """Return the button that confirms /forget."""
    return ((text, f"{FORGET}{user_id}"),)


def _numbered(meaning: str, texts: Iterable[str]) -> Buttons:
    kept = [text for text in texts if text.strip()][:MOST]
    return tuple([(text, f"{meaning}{number}") for number, text in enumerate(kept)])
