"""Writing records down: what changed within a quarter of a second goes into one transaction."""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio

from store.errors import StoreError
from workers.record import Record

if TYPE_CHECKING:
    from workers.services import Services

logger = logging.getLogger(__name__)

GATHER_S: Final = 0.25
"""A thousand bots that start cost a few transactions, not a few thousand; a process that is killed forgets no more
than this of phases and counters."""

AT_ONCE: Final = 50
"""Records in one transaction: a thousand together held up everybody's messages for a tenth of a second."""


class Ledger:
    """Remembers whose record changed and writes it down in batches. While the database is at fault, it keeps them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._changed: dict[str, Record] = {}
        self._news = anyio.Event()

    def note(self, record: Record) -> None:
        """Have a record written down, as it will be then."""
        self._changed[record.bot_id] = record
        self._services.metrics.figures.noted.add(record.bot_id)
        self._news.set()

    def knows(self, bot_id: str) -> bool:
        """Tell whether something of a bot is yet to be written."""
        return bot_id in self._changed

    def forget(self, bot_id: str) -> None:
        """Write nothing more of a bot whose rows are to be deleted."""
        self._changed.pop(bot_id, None)

    async def run(self) -> None:
        """Write until cancelled; call `flush` after that for what is left."""
        while True:
            await self._news.wait()
            await self._services.clock.sleep(GATHER_S)
            if not await self.flush():
                await self._services.store.wait_healthy()
                await self._services.clock.sleep(GATHER_S)

    async def flush(self) -> bool:
        """Write all there is, AT_ONCE in a transaction; False when the database refused and the rest was kept."""
        self._news = anyio.Event()
        for _ in range(0, len(self._changed), AT_ONCE):
            # Taken out only now: a bot may be forgotten while the ones before it are written.
            records = {bot_id: self._changed.pop(bot_id) for bot_id in list(islice(self._changed, AT_ONCE))}
            if not await self._write(records):
                return False
        return True

    async def _write(self, records: dict[str, Record]) -> bool:
        rows = [(bot_id, record.columns()) for bot_id, record in records.items()]
        try:
            await self._services.store.save_states(rows, self._services.now_ms())
        except StoreError as error:
            if self._services.store.fault is None:  # else the watch of the store has told
                logger.warning("the state of %d bots is not written down yet: %s", len(rows), error)
            for record in records.values():
                self._changed.setdefault(record.bot_id, record)
            self._news.set()
            return False
        return True
