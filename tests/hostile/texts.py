"""Texts that strangers send: what steers a terminal, what looks like something else, what no encoder takes."""

from __future__ import annotations

from typing import Final

HOSTILE: Final = {
    "clear": "a\x1b[2J\x1b[Hb",
    "title": "a\x1b]0;owned\x07b",
    "link": "\x1b]8;;http://evil/\x1b\\click\x1b]8;;\x1b\\",
    "c1": "a\x9b2Jb\x90q\x9c\x85c",
    "nul": "a\0b",
    "bidi": "abc\u202edcba\u2066x\u2069\u200f",
    "invisible": "a\u200b\u2060\ufeff\u00ad\u180eb",
    "lines": "a\rb\x0b\x0cc\u2028d\u2029e\n12:00:00 error    other: forged",
    "surrogate": "a\ud800b\udfffc",
    "zalgo": "z" + "\u0300\u0316\u0489" * 300,
    "tags": "a\U000e0041\U000e007fb",
    "beep": "\x07\x08\x7f\x18\x1a" * 9,
}
"""Name → text. Telegram lets through nearly all of these; JSON carries even the halves of characters."""


def is_quiet(text: str) -> bool:
    """Tell whether text may be written to a terminal: line feeds and tabs are all that moves anything in it."""
    return text.replace("\n", "").replace("\t", "").isprintable()
