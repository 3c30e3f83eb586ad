"""Letting people in with one-time codes: what a code looks like, and how often somebody may guess.

A code has 50 random bits and lives for minutes. The store keeps a digest of it, which whoever reads the file can do
nothing with in that time; and since a digest is what is looked up, how long a look-up takes says nothing about a code.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without 0, 1, I and O, which people mistake for one another."""

LENGTH: Final = 10
WRONG_OF_ONE: Final = 5
WRONG_OF_ALL: Final = 50
LOCKED_S: Final = 900.0
"""Wrong codes of one person, and of everybody together, that lock pairing for so long, counted over so long."""

MAX_PEOPLE: Final = 1024
"""People whose wrong codes are remembered; beyond it the one who tried longest ago is forgotten."""

_LETTERS: Final = frozenset(ALPHABET)


def new_code() -> str:
    """Return a new code, as it is shown: XXXXX-XXXXX, with a digit and a letter in it."""
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        if not code.isalpha() and not code.isdecimal():
            return f"{code[:5]}-{code[5:]}"


def code_in(text: str) -> str | None:
    """Return the code a message consists of, as `new_code` writes it; None for any other message."""
    if not LENGTH <= len(text) <= LENGTH + 3:
        return None
    code = "".join(text.split()).replace("-", "").upper()
    if len(code) != LENGTH or not _LETTERS.issuperset(code) or code.isalpha() or code.isdecimal():
        return None
    return f"{code[:5]}-{code[5:]}"


def digest_of(bot_id: str, code: str) -> str:
    """Return what the store knows a code by."""
    return hashlib.sha256(f"botdeck pairing\n{bot_id}\n{code}".encode()).hexdigest()


class Attempts:
    """Wrong codes lately, of each person and of all. Moments are monotonic seconds."""

    __slots__ = ("_all", "_of")

    def __init__(self) -> None:
        self._of: dict[int, tuple[int, float]] = {}
        self._all: tuple[int, float] = (0, 0.0)

    def locked_s(self, user_id: int, now: float) -> float:
        """Return for how long somebody may not try, in seconds; 0 = they may now."""
        left = [
            since + LOCKED_S - now
            for (wrong, since), most in ((self._of.get(user_id, (0, 0.0)), WRONG_OF_ONE), (self._all, WRONG_OF_ALL))
            if wrong >= most
        ]
        return max(0.0, *left) if left else 0.0

    def wrong(self, user_id: int, now: float) -> None:
        """Count a wrong code; what is older than LOCKED_S counts no more."""
        self._of[user_id] = _counted(self._of.pop(user_id, (0, now)), now)
        self._all = _counted(self._all, now)
        if len(self._of) > MAX_PEOPLE:
            del self._of[next(iter(self._of))]


def _counted(before: tuple[int, float], now: float) -> tuple[int, float]:
    wrong, since = before
    # The last of the wrong ones is the moment from which the lock counts.
    return (1, now) if now - since >= LOCKED_S else (wrong + 1, now)
