"""What the parts of one bot share for as long as its worker runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.partition import Partition
from workers.channels.base import Channel
from workers.conditions import Conditions
from workers.patience import Patience
from workers.places import Places
from workers.rests import Rests

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from workers.recording import OpenItem
    from workers.services import Services


@dataclass(slots=True)
class Shift:
    """One run of one bot: made by its worker, handed to lanes' work, gone with the run.

    spec may be exchanged between turns; whoever needs it for longer than a step keeps the one it began with. aside
    gives the lane's place to another for a long wait; behind returns the updates that wait in a lane behind the one in hand.
    """

    spec: BotSpec
    channel: Channel
    partition: Partition
    services: Services
    conditions: Conditions
    patience: Patience
    places: Places
    rests: Rests
    aside: Callable[[], AbstractContextManager[None]]
    behind: Callable[[str], Iterator[OpenItem]]

    @property
    def bot_id(self) -> str:
        """Whose run it is."""
        return self.spec.bot_id

    def now(self) -> float:
        """Return the monotonic moment, in seconds."""
        return self.services.clock.monotonic()
