"""What a terminal takes onto its clipboard (OSC 52)."""

from __future__ import annotations

from typing import Final, NamedTuple

LIMIT_BYTES: Final = 74_994
"""The longest text terminals agree to take (100,000 bytes of base64, less the sequence around it)."""


class Copied(NamedTuple):
    """The text that fits, its size in bytes, and whether it is all of it."""

    text: str
    size: int
    whole: bool


def capped(text: str) -> Copied:
    """Return the end of a text that fits; whole lines where there is one."""
    data = text.encode("utf-8", "replace")
    if len(data) <= LIMIT_BYTES:
        return Copied(text, len(data), True)
    end = data[-LIMIT_BYTES:]
    first = end.find(b"\n") + 1
    kept = end[first:].decode("utf-8", "ignore")
    return Copied(kept, len(kept.encode()), False)
