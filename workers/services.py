"""What every worker of a fleet shares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from config.schema import BotConfig
from store.database import Store
from store.errors import StoreCorrupt, StoreFull, StoreUnavailable
from workers.bus import Bus
from workers.channels import open_channel
from workers.channels.base import Channel
from workers.clock import Clock
from workers.media.understanding import Media
from workers.metrics import Metrics
from workers.outage import Outages
from workers.prices import Prices
from workers.redaction import Redactor

if TYPE_CHECKING:
    from workers.chat.engine import Engine
    from workers.http import Http

T = TypeVar("T")
OpenChannel = Callable[[str, BotConfig, "Http", Clock], Channel]

MENUS_AT_ONCE: Final = 2
STORE_RETRY_S: Final = 1.0
"""Wait before a refused write is asked again when the store does not count as faulted."""


@dataclass(frozen=True, slots=True)
class Services:
    """The shared parts, wired by console/runtime.py. open_channel is a seam for tests and embedding."""

    clock: Clock
    store: Store
    bus: Bus
    http: Http
    metrics: Metrics
    engine: Engine
    open_channel: OpenChannel = open_channel
    redact: Callable[[str], str] = Redactor().clean
    """Takes secrets out of a text that is to be stored or shown; the runtime's knows the fleet's own."""
    unmarked: dict[tuple[str, int], int | None] = field(default_factory=dict)
    """(bot_id, outbox_id) → message id of sends the server took and the store has not heard of yet.

    It outlives a worker: a bot restarted while the database refuses writes must not send them again.
    """

    outages: Outages = field(default_factory=Outages)
    """Which bots cannot reach their server."""
    prices: Prices = field(default_factory=Prices)
    """What tokens cost."""
    menus: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MENUS_AT_ONCE))
    """Whoever has its list of commands shown: nobody waits for one, and a thousand at once would be a second connection
    for every bot."""
    root: Path | None = None
    """The fleet's folder; None for a fleet without one, which keeps no files."""
    media: Media = field(init=False, repr=False)
    """Understands what comes with messages."""

    _ahead_s: float = field(init=False, repr=False, default=0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "media", Media(self.http, self.clock, self.root))
        object.__setattr__(self, "_ahead_s", self.clock.now() - self.clock.monotonic())

    def age_s(self, moment_s: float) -> float:
        """Return for how many seconds a moment (Unix time) has passed, by a wall clock that does not jump ahead.

        One set wrong while the fleet runs must not make every message look old; one put right counts.
        """
        return min(self.clock.now(), self._ahead_s + self.clock.monotonic()) - moment_s

    def now_ms(self) -> int:
        """Return Unix time in milliseconds, as the store wants it."""
        return int(self.clock.now() * 1000)

    async def insist(self, write: Callable[[], Awaitable[T]], *, shield: bool = False) -> T:
        """Do a write; while the database refuses, wait until it takes writes again and do it once more.

        The caller's result stays in memory meanwhile, so that nothing is paid for twice. Cancelling is safe; with
        shield it only counts between tries, so that the caller always learns what became of its write. Raises
        StoreCorrupt for a damage met while the store counts as healthy, which waiting does not mend, and StoreError when
        the store is closed.
        """
        while True:
            try:
                if not shield:
                    return await write()
                with anyio.CancelScope(shield=True):
                    return await write()
            except (StoreFull, StoreUnavailable, StoreCorrupt) as error:
                if self.store.fault is None and isinstance(error, StoreCorrupt):
                    raise
            if self.store.fault is None:
                await self.clock.sleep(STORE_RETRY_S)
            await self.store.wait_healthy()
