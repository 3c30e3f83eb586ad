"""What the double thinks: the same for a number each time, and signed, so that it knows its thoughts when they come back."""

from __future__ import annotations

import hashlib


def thought(number: int) -> str:
    """Return what was thought before the answer of that number."""
    return f"What is asked \N{EM DASH} number {number} \N{EM DASH} needs care."


def signature(thinking: str) -> str:
    """Return what goes with a thought; of "", what stands for one that nobody may read."""
    return hashlib.sha256(f"the double thought: {thinking}".encode()).hexdigest()


def halves(text: str) -> tuple[str, str]:
    """Return a text in two pieces, as thoughts and arguments of a call arrive."""
    return text[: len(text) // 2], text[len(text) // 2 :]
