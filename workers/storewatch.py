"""When the database refuses writes: say so once, try it each second, say when it takes them again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from config.vocabulary import FLEET
from store.events import StoreFaulted, StoreRecovered

if TYPE_CHECKING:
    from workers.services import Services

logger = logging.getLogger(__name__)

PROBE_S: Final = 1.0
QUIET_PROBE_S: Final = 60.0
"""A fleet that writes nothing finds out that its file was deleted or replaced at the latest after this time."""


class StoreWatch:
    """Watches the database of a fleet. after_recovery gets for how many seconds it had refused."""

    def __init__(self, services: Services, after_recovery: Callable[[float], None]) -> None:
        self._services = services
        self._after_recovery = after_recovery
        self._recovering = False

    @property
    def at_fault(self) -> bool:
        """Whether the database refuses, or has just stopped to and nobody has been told yet."""
        return self._recovering or self._services.store.fault is not None

    async def run(self) -> None:
        """Watch until cancelled."""
        store, clock, bus = self._services.store, self._services.clock, self._services.bus
        while True:
            with clock.deadline(QUIET_PROBE_S):
                await store.wait_fault()
            if store.fault is None:
                await store.probe(self._services.now_ms())
                continue
            began, fault = clock.monotonic(), store.fault
            self._recovering = True
            logger.critical("the database takes no writes, the bots wait: %s", fault)
            bus.publish(StoreFaulted(bot_id=FLEET, at=clock.now(), error=str(fault)))
            while not await store.probe(self._services.now_ms()):
                await clock.sleep(PROBE_S)
            after_s = clock.monotonic() - began
            logger.warning("the database takes writes again after %.0f s", after_s)
            bus.publish(StoreRecovered(bot_id=FLEET, at=clock.now(), after_s=after_s))
            self._after_recovery(after_s)
            self._recovering = False
