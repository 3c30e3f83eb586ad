"""When the database refuses writes: say so once, try it each second, say when it takes them again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from config.vocabulary import FLEET
from store.errors import StoreCorrupt, StoreError
from store.events import StoreFaulted, StoreRecovered

if TYPE_CHECKING:
    from workers.services import Services

logger = logging.getLogger(__name__)

PROBE_S: Final = 1.0
LOOK_S: Final = 2.0
"""A fleet that writes nothing finds out that its file was deleted or replaced at the latest after this time."""
LOOKS_PER_PROBE: Final = 30
"""A fleet that writes nothing tries a write so seldom: once a minute."""
CALM_S: Final = 60.0
"""A fault that comes back sooner is the same one: each time the first try waits twice as long, up to this."""


class StoreWatch:
    """Watches the database of a fleet. after_recovery gets for how many seconds it had refused."""

    def __init__(self, services: Services, after_recovery: Callable[[float], None]) -> None:
        self._services = services
        self._after_recovery = after_recovery
        self._recovering = False
        self._relapses = 0
        self._recovered_at: float | None = None

    @property
    def at_fault(self) -> bool:
        """Whether the database refuses, or has just stopped to and nobody has been told yet."""
        return self._recovering or self._services.store.fault is not None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            fault = await self._meet_fault()
            self._recovering = True
            began = self._services.clock.monotonic()
            await self._sit_out(fault, began)
            self._tell_recovery(self._services.clock.monotonic() - began)
            self._recovering = False

    async def _meet_fault(self) -> StoreError:
        """Wait for a fault; look for one while nobody writes."""
        store, clock, looks = self._services.store, self._services.clock, 0
        while store.fault is None:
            with clock.deadline(LOOK_S):
                await store.wait_fault()
            looks += 1
            if store.fault is None and looks % LOOKS_PER_PROBE == 0:
                await store.probe(self._services.now_ms())
            elif store.fault is None:
                store.look()
        return store.fault

    async def _sit_out(self, fault: StoreError, began: float) -> None:
        """Tell of a fault, and once more should it turn out to be damage; return when writes are taken again."""
        store, clock = self._services.store, self._services.clock
        self._tell(fault)
        relapsed = self._recovered_at is not None and began - self._recovered_at < CALM_S
        self._relapses = self._relapses + 1 if relapsed else 0
        if self._relapses:
            await clock.sleep(min(CALM_S, 2.0**self._relapses))
        while not await store.probe(self._services.now_ms()):
            if isinstance(store.fault, StoreCorrupt) and not isinstance(fault, StoreCorrupt):
                fault = store.fault
                self._tell(fault)
            await clock.sleep(PROBE_S)

    def _tell(self, fault: StoreError) -> None:
        logger.critical("the database takes no writes, the bots wait: %s", fault)
        self._services.bus.publish(StoreFaulted(bot_id=FLEET, at=self._services.clock.now(), error=str(fault)))

    def _tell_recovery(self, after_s: float) -> None:
        clock = self._services.clock
        self._recovered_at = clock.monotonic()
        logger.warning("the database takes writes again after %.0f s", after_s)
        self._services.bus.publish(StoreRecovered(bot_id=FLEET, at=clock.now(), after_s=after_s))
        self._after_recovery(after_s)
