"""What every family of operations inside the fleet's process has in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from config.vocabulary import is_bot_id
from console.control import no_such_bot
from console.errors import ShuttingDown
from store.events import OperatorActed

if TYPE_CHECKING:
    from console.runtime import Fleet


class Within:
    """A part of the Control of a fleet of this process."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.closing = False
        """Set when the fleet begins to end: orders are refused, questions are still answered."""

    def _bot_ids(self) -> list[str]:
        return sorted(self._fleet.pool.bot_ids())

    def _known(self, bot_id: str) -> str:
        return self._fleet.pool.bot(bot_id).bot_id

    def _file(self, bot_id: str) -> Path:
        """Return where a bot's file lies. Raises NoSuchBot for what cannot be a bot's name."""
        if not is_bot_id(bot_id):
            raise no_such_bot(bot_id, self._bot_ids())
        return self._fleet.place.root.absolute() / "bots" / f"{bot_id}.toml"

    def _refuse_when_closing(self) -> None:
        if self.closing:
            raise ShuttingDown("the fleet is shutting down and takes no orders", "wait until it has ended")

    def _note(self, action: str, bot_id: str, actor: str, reason: str = "") -> None:
        event = OperatorActed(bot_id=bot_id, at=self._fleet.clock.now(), action=action, actor=actor, reason=reason)
        self._fleet.bus.publish(event)
