"""Secrets that can be recognised wherever they show: whole, in part, and in the spellings programs give them."""

from __future__ import annotations

import base64
import html
import random
import re
import string
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

WINDOW: Final = 12
"""So many characters of a secret in a row are a leak: half a secret is one too."""

HALF: Final = WINDOW // 2

_LETTERS: Final = string.ascii_letters + string.digits
_ESCAPES: Final = re.compile(rb"\\u00([0-9a-fA-F]{2})|\\x([0-9a-fA-F]{2})|\\([\\\"'/])")


class Plants:
    """Makes secrets and finds them again. The same seed makes the same ones."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self.known: dict[str, str] = {}
        """Name → secret."""
        self._windows: dict[bytes, str] = {}
        self._halves: set[bytes] = set()

    def token(self, name: str, bot_id: int) -> str:
        """Make a bot token; its part behind the colon is what is looked for."""
        secret = f"AA{self._letters(33)}"
        self.learn(name, secret)
        return f"{bot_id}:{secret}"

    def key(self, name: str, shape: str = "{}") -> str:
        """Make any other secret; {} of the shape is what chance gives."""
        secret = shape.format(self._letters(28))
        self.learn(name, secret)
        return secret

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(_LETTERS, k=count))

    def learn(self, name: str, secret: str) -> None:
        """Look for a secret made elsewhere, too."""
        self.known[name] = secret
        raw = secret.encode()
        for shift in range(3):
            coded = base64.b64encode(bytes(shift) + raw)[shift + 1 : -4]
            self._remember(name, coded)
        self._remember(name, raw)

    def _remember(self, name: str, raw: bytes) -> None:
        for at in range(len(raw) - WINDOW + 1):
            self._windows[raw[at : at + WINDOW]] = name
        self._halves |= {raw[at : at + HALF] for at in range(len(raw) - HALF + 1)}

    def found(self, text: bytes) -> set[str]:
        """Return the names of secrets of which WINDOW characters or more show in a text, in any usual spelling."""
        texts = {text, _unescaped(text)}
        if b"%" in text:
            texts.add(unquote_to_bytes(text))
        if b"&" in text:
            texts.add(html.unescape(text.decode("latin-1")).encode("latin-1", "replace"))
        return {name for each in texts for name in self._names_in(each)}

    def _names_in(self, text: bytes) -> Iterator[str]:
        """Yield the names of what stands in a text as it is; every window holds one of its pieces of half the length."""
        windows, halves = self._windows, self._halves
        for half in range(0, len(text) - HALF + 1, HALF):
            if text[half : half + HALF] in halves:
                for at in range(max(0, half - HALF), half + HALF):
                    if text[at : at + WINDOW] in windows:
                        yield windows[text[at : at + WINDOW]]


def _unescaped(text: bytes) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1] or match[2]
        return bytes([int(code, 16)]) if code else match[3]

    for _ in range(2):  # JSON within JSON
        text = _ESCAPES.sub(plain, text)
    return text


def spellings(secret: str) -> str:
    """Return a secret as servers and libraries may quote it, all in one text."""
    raw = secret.encode()
    return " ".join(
        (
            secret,
            "".join(f"%{byte:02X}" for byte in raw),
            "".join(f"\\u{ord(c):04x}" for c in secret),
            *(base64.b64encode(b"u:"[:n] + raw).decode() for n in range(3)),
        )
    )
