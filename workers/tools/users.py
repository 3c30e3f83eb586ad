"""Which bots use a server of tools: its troubles stand in their logs, where somebody looks why a tool is gone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from config.vocabulary import FLEET

if TYPE_CHECKING:
    from workers.clock import Clock

logger = logging.getLogger(__name__)

LATELY_S: Final = 1800.0
"""Who has not asked for so long does not use it any more."""

AT_ONCE: Final = 5
"""Bots told at once; the others are told when they ask next, so that a server of a thousand bots is not a thousand lines."""


class Users:
    """The bots that have asked for one server, each with the name its own file gives it; those first who asked last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, tuple[float, str]] = {}
        self._told: set[str] = set()
        self._trouble = ""

    def asks(self, bot_id: str, name: str) -> None:
        """Note that a bot asks for the server, as name."""
        self._asked.pop(bot_id, None)
        self._asked[bot_id] = (self._clock.monotonic(), name)

    def lost(self, trouble: str) -> None:
        """Tell that the server is away. trouble holds no secret."""
        self._trouble = trouble
        self._told.clear()
        lately = self._lately()
        for bot_id in lately[:AT_ONCE]:
            self.misses(bot_id)
        if len(lately) > AT_ONCE:
            names = ", ".join(lately[:AT_ONCE])
            text = "the MCP server of %s and %d more bots is away and will be tried again: %s"
            logger.warning(text, names, len(lately) - AT_ONCE, trouble, extra={"bot_id": FLEET})

    def misses(self, bot_id: str) -> None:
        """Tell a bot that the server is away, once each time it is."""
        if not self._trouble or bot_id in self._told:
            return
        self._told.add(bot_id)
        text = "the MCP server %s is away and will be tried again: %s"
        logger.warning(text, self._asked[bot_id][1], self._trouble, extra={"bot_id": bot_id})

    def found(self, tools: int) -> None:
        """Tell that the server is there: those who missed it, or the first to ask for it."""
        for bot_id in sorted(self._told) or self._lately()[:1]:
            logger.info("the MCP server %s offers %d tools", self._asked[bot_id][1], tools, extra={"bot_id": bot_id})
        self._trouble = ""
        self._told.clear()

    def _lately(self) -> list[str]:
        """Return who uses it, the last to ask first; forget the others."""
        since = self._clock.monotonic() - LATELY_S
        self._asked = {bot_id: asked for bot_id, asked in self._asked.items() if asked[0] >= since}
        self._told &= self._asked.keys()
        return list(reversed(self._asked))
