"""How much a bot has taken in: polling waits while that is too much, and its operator is told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from config.vocabulary import Condition
from store.events import FellBehind
from workers.inbox import ROOM_BYTES, Inbox
from workers.lanes import Lanes

if TYPE_CHECKING:
    from workers.shift import Shift

logger = logging.getLogger(__name__)


class Room:
    """The room for updates that are open. `wait` is asked before each poll."""

    __slots__ = ("_behind", "_inbox", "_lanes", "_shift")

    def __init__(self, shift: Shift, lanes: Lanes[Any], inbox: Inbox) -> None:
        self._shift = shift
        self._lanes = lanes
        self._inbox = inbox
        self._behind = False

    async def wait(self) -> None:
        """Wait until there is room for more. Cancelling is safe."""
        while full := self._full():
            self._shift.conditions.set(Condition.POLLING, False, f"{full}; waiting for room")
            self._fall_behind(full)
            await self._lanes.wait_change()
        if self._behind and not self._full(0.5):
            self._behind = False
            logger.info("the bot has caught up")

    def _full(self, share: float = 1.0) -> str:
        """Return what fills the room, or this share of it; "" when nothing does."""
        limit = self._shift.spec.config.limits.max_open_updates
        if self._lanes.open >= limit * share:
            return f"{limit} updates are open"
        return f"updates of {ROOM_BYTES >> 20} MiB are open" if self._inbox.heavy_bytes > ROOM_BYTES * share else ""

    def _fall_behind(self, full: str) -> None:
        """Tell the operator, once until the bot has caught up."""
        if self._behind:
            return
        self._behind = True
        services, bot_id = self._shift.services, self._shift.bot_id
        logger.warning("the bot is behind: %s, the rest waits at its server", full)
        services.bus.publish(FellBehind(bot_id=bot_id, at=services.clock.now(), reason=full))
