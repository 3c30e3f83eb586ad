"""Who has been told lately that no answer could be had: once is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

AGAIN_S: Final = 3600.0
"""Somebody who still gets no answer after an hour is told again."""

MAX_CHATS: Final = 1024
"""Chats remembered; beyond it the one told longest ago is forgotten."""


class Apologies:
    """One apology per chat and hour, however many messages stay without an answer; after an answer the next one counts anew."""

    __slots__ = ("_now", "_told")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._told: dict[str, float] = {}

    def owed(self, lane: str) -> bool:
        """Tell whether a chat is to be told now; it counts as told from here on."""
        now, told = self._now(), self._told.pop(lane, None)
        if told is not None and now - told < AGAIN_S:
            self._told[lane] = told
            return False
        self._told[lane] = now
        if len(self._told) > MAX_CHATS:
            del self._told[next(iter(self._told))]
        return True

    def answered(self, lane: str) -> None:
        """Note that a chat has got an answer."""
        if self._told:
            self._told.pop(lane, None)
