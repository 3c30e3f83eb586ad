"""What every worker of a fleet shares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import anyio

from config.schema import BotConfig, LlmSection
from store.database import Store
from store.errors import StoreCorrupt, StoreFull, StoreUnavailable
from store.inspection import first_look
from workers.absences import Absences
from workers.apologies import AllApologies
from workers.bus import Bus
from workers.channels import open_channel
from workers.channels.base import Channel
from workers.chat.engine import Engine
from workers.chat.summary import Summaries
from workers.clock import Clock
from workers.desk import Desks
from workers.http import Http
from workers.llm import Providers, load
from workers.llm.asking import WITHOUT_ENDPOINT, Asker
from workers.media.understanding import Media
from workers.metrics import Metrics
from workers.outage import Outages
from workers.places import Neighbours
from workers.prices import Prices
from workers.redaction import Redactor
from workers.tools.toolbox import Toolboxes

T = TypeVar("T")
OpenChannel = Callable[[str, BotConfig, Http, Clock], Channel]

MENUS_AT_ONCE: Final = 2
STORE_RETRY_S: Final = 1.0
"""Wait before a refused write is asked again when the store does not count as faulted."""


@dataclass(frozen=True, slots=True)
class Services:
    """The shared parts, wired by `open_services`. open_channel is a seam for tests and embedding."""

    clock: Clock
    store: Store
    bus: Bus
    http: Http
    metrics: Metrics
    engine: Engine
    open_channel: OpenChannel = open_channel
    redactor: Redactor = field(default_factory=Redactor)
    """Knows the fleet's secrets, and learns those of bots that programs make."""
    unmarked: dict[tuple[str, int], int | None] = field(default_factory=dict)
    """(bot_id, outbox_id) → message id of sends the server took and the store has not heard of yet.

    It outlives a worker: a bot restarted while the database refuses writes must not send them again.
    """

    outages: Outages = field(init=False, repr=False)
    """Which bots cannot reach their server."""
    apologies: AllApologies = field(init=False, repr=False)
    """Who was told lately that there is no answer."""
    absences: Absences = field(init=False, repr=False)
    """Whose model is out of reach."""
    prices: Prices = field(default_factory=Prices)
    """What tokens cost."""
    desks: Desks = field(default_factory=Desks)
    """Where the questions of programs wait, by bot."""
    menus: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MENUS_AT_ONCE))
    """Whoever has its list of commands shown: nobody waits for one, and a thousand at once would be a second connection
    for every bot."""
    neighbours: Neighbours = field(default_factory=Neighbours)
    """Who shares the loop: a bot with much to do leaves most of it to others."""
    root: Path | None = None
    """The fleet's folder; None for a fleet without one, which keeps no files."""
    media: Media = field(init=False, repr=False)
    """Understands what comes with messages."""

    _ahead_s: float = field(init=False, repr=False, default=0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "apologies", AllApologies(self.clock.monotonic))
        object.__setattr__(self, "outages", Outages(self.redactor.clean))
        object.__setattr__(self, "absences", Absences(self.clock, self.bus))
        object.__setattr__(self, "media", Media(self.http, self.clock, self.root))
        object.__setattr__(self, "_ahead_s", self.clock.now() - self.clock.monotonic())

    async def prepare(self, llm: LlmSection) -> None:
        """Have in memory what a bot's models need to be asked and priced: 100 ms of imports, once in a process, in threads.

        A bot does so before it takes anything in, and with each question, for its models may be others by then. The lists
        of prices are not waited for. Costs nothing for models without an endpoint. Cancelling is safe.
        """
        for section in llm.chain():
            if section.provider != WITHOUT_ENDPOINT:
                await load(section.provider)
                self.prices.warm(section.provider)

    def redact(self, text: str) -> str:
        """Take secrets out of a text that is to be stored or shown."""
        return self.redactor.clean(text)

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


@asynccontextmanager
async def open_services(
    database: Path,
    clock: Clock,
    *,
    root: Path | None = None,
    durability: str = "full",
    channels: OpenChannel = open_channel,
    redactor: Redactor | None = None,
) -> AsyncIterator[Services]:
    """Open the database and make what bots share, for the length of the block; it is closed to the end, also when cancelled.

    root is the fleet's folder (its Python tools lie in root/tools), by default the database's. redactor knows the fleet's
    secrets, and learns those of bots that programs make. Raises StoreError.
    """
    redactor = redactor or Redactor()
    async with AsyncExitStack() as stack:
        whole = await anyio.to_thread.run_sync(first_look, database)
        store = await Store.open(database, now_ms=int(clock.now() * 1000), durability=durability)
        stack.push_async_callback(_calmly, store.close)
        store.unclean = store.unclean and not whole
        http = Http(clean=redactor.clean)
        stack.push_async_callback(_calmly, http.close)
        bus, metrics, prices = Bus(redactor.clean), Metrics(clock), Prices()
        asker = Asker(Providers(http, clock), clock)
        toolboxes = Toolboxes(root or database.parent, http, clock, bus, metrics, redactor.clean)
        await toolboxes.open()
        stack.push_async_callback(_calmly, toolboxes.close)
        engine = Engine(asker, clock, toolboxes, Summaries(asker, prices, metrics, clock), clean=redactor.clean)
        yield Services(clock, store, bus, http, metrics, engine, channels, redactor, prices=prices, root=root)


async def _calmly(close: Callable[[], Awaitable[None]]) -> None:
    """Close something to the end, also when the start was cancelled."""
    with anyio.CancelScope(shield=True):
        await close()
