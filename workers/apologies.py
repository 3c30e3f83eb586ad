"""Who has been told lately that no answer could be had: once is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

AGAIN_S: Final = 3600.0
"""Somebody who still gets no answer after an hour is told again."""

MAX_CHATS: Final = 1024
"""Chats remembered; beyond it the one told longest ago is forgotten."""


KEPT: Final = 4096
"""Bots whose apologies outlive their worker; beyond it the one that was started longest ago is forgotten."""


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


class AllApologies:
    """Those of all bots, so that a bot made anew, after an edit say, tells nobody again."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: dict[str, Apologies] = {}

    def of(self, bot_id: str) -> Apologies:
        """Return those of a bot whose worker begins."""
        found = self._kept.pop(bot_id) if bot_id in self._kept else Apologies(self._now)
        self._kept[bot_id] = found
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return found
