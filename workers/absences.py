"""Models out of reach, bot by bot: told when it begins and when it is over, and not with every message it costs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from store.events import ModelLost, ModelRegained

if TYPE_CHECKING:
    from workers.bus import Bus
    from workers.clock import Clock

logger = logging.getLogger(__name__)

AGAIN_S: Final = 60.0
"""A model that comes and goes is told of once in so long; what it costs meanwhile is counted."""

KEPT: Final = 4096
"""Bots remembered; beyond it the one whose model was lost longest ago is forgotten."""


class _Absence:
    """One bot's model, away or lately back. said: it was told to be away, and not yet to be back. Moments are monotonic."""

    __slots__ = ("began", "failed", "said", "said_at")

    def __init__(self, now: float) -> None:
        self.said = False
        self.began = self.said_at = now
        self.failed = 0

    def settled(self, now: float) -> bool:
        """Tell whether something may be said of it again."""
        return now - self.said_at >= AGAIN_S


class Absences:
    """Whose model is away. It outlives a worker: a bot edited in the middle of an outage goes on counting."""

    def __init__(self, clock: Clock, bus: Bus) -> None:
        self._clock = clock
        self._bus = bus
        self._known: dict[str, _Absence] = {}

    def away(self, bot_id: str, reason: str) -> None:
        """Note that no model of a bot can be reached."""
        known, now = self._known.get(bot_id), self._clock.monotonic()
        if known is None:
            known = self._known[bot_id] = _Absence(now)
            if len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
        elif known.said or not known.settled(now):
            return
        known.said, known.began, known.said_at = True, now, now
        logger.warning("the model is out of reach: %s", reason, extra={"bot_id": bot_id})
        self._bus.publish(ModelLost(bot_id=bot_id, at=self._clock.now(), reason=reason))

    def cost(self, bot_id: str) -> None:
        """Count a message that got no answer because of it."""
        known = self._known.get(bot_id)
        if known is not None:
            known.failed += 1

    def answered(self, bot_id: str) -> None:
        """Note that a model of a bot has answered, or might have."""
        known = self._known.get(bot_id) if self._known else None
        if known is None:
            return
        now = self._clock.monotonic()
        if known.said or (known.failed and known.settled(now)):
            self._regained(bot_id, known, now)
        elif known.settled(now):
            del self._known[bot_id]

    def _regained(self, bot_id: str, known: _Absence, now: float) -> None:
        after_s, failed = round(now - known.began, 1), known.failed
        known.said, known.said_at, known.failed = False, now, 0
        cost = f"; {failed} messages got no answer" if failed > 1 else "; one message got no answer" if failed else ""
        logger.info("the model answers again after %.0f s%s", after_s, cost, extra={"bot_id": bot_id})
        self._bus.publish(ModelRegained(bot_id=bot_id, at=self._clock.now(), after_s=after_s, failed=failed))
