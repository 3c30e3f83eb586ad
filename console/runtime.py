"""The fleet as a running process: the one place that wires its parts together.

Start:  lock → files → log → database → socket → pool → bots → web.
End:    orders refused → files no longer followed → bots drained → what is unwritten written → database → socket → lock.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final, cast

import anyio
from anyio.abc import TaskGroup, TaskStatus

from config.errors import ConfigInvalid
from config.load import Loader
from config.snapshot import BotSpec, Snapshot
from config.vocabulary import FLEET
from console.cli import version
from console.doorway import Doorway, open_doorway
from console.local import LocalControl
from console.lock import Lock, Owner
from console.parts import Guarded, Told, tend
from console.place import Place, find, socket_path
from console.reloader import Reloader
from console.spout import Spout
from store.database import Store
from store.errors import StoreCorrupt, StoreError
from store.events import FleetStarted, FleetStopped
from workers.bus import Bus
from workers.channels import open_channel
from workers.chat.engine import Engine
from workers.clock import Clock, SystemClock
from workers.http import Http
from workers.journal import EventJournal
from workers.llm import Providers
from workers.logbook import Logbook, installed, wants_colour
from workers.metrics import Metrics
from workers.pool import Pool
from workers.redaction import Redactor
from workers.services import OpenChannel, Services

logger = logging.getLogger("botdeck")

SHUTDOWN_S: Final = 28.0
"""The whole way down; service managers kill at 30 s or later."""
LOGS_S: Final = 0.5
METRICS_S: Final = 60.0
PRUNE_BUSY_S: Final = 1.0
PRUNE_IDLE_S: Final = 600.0
STDERR: Final = 2
HURRY_S: Final = 0.05
DESCRIPTORS: Final = 65_536
"""Soft limit of open files where the hard one is unlimited."""


class Fleet:
    """A running fleet. Made by `open_fleet`; front ends use `control` and read the rest."""

    def __init__(
        self,
        place: Place,
        owner: Owner,
        loader: Loader,
        snapshot: Snapshot,
        logbook: Logbook,
        services: Services,
        *,
        environment: str | None,
    ) -> None:
        self.place = place
        self.owner = owner
        self.environment = environment
        self.clock = services.clock
        self.store = services.store
        self.bus = services.bus
        self.metrics = services.metrics
        self.logbook = logbook
        self.journal = EventJournal(self.bus, self.store, self.clock, logbook.redactor.clean)
        self.pool = Pool(services, clean=logbook.redactor.clean)
        self.reloader = Reloader(
            loader, snapshot, apply=self.pool.apply, prepare=self.prepare, bus=self.bus, clock=self.clock
        )
        self.control = LocalControl(self)
        self._log_turn = anyio.Lock()
        self._hurried = anyio.Event()

    @property
    def snapshot(self) -> Snapshot:
        """The configuration as applied."""
        return self.reloader.snapshot

    def spec(self, bot_id: str) -> BotSpec | None:
        """Return the configuration a bot runs, or ran last; None when it never had a good one."""
        return self.snapshot.bots.get(bot_id) or self.snapshot.kept.get(bot_id)

    async def prepare(self, snapshot: Snapshot) -> None:
        """Take over what a snapshot says of the process, before any bot hears of it.

        Secrets of the snapshot before stay known: bots that drain still use them.
        """
        before = self.snapshot.secrets
        if snapshot.secrets != before:
            # A thousand secrets take 20 ms to learn: in a thread, so that nobody waits.
            await anyio.to_thread.run_sync(self.logbook.redactor.replace_known, snapshot.secrets | before)
        self.logbook.set_level(snapshot.fleet.log.level)

    def hurry(self) -> None:
        """Cut the drain short, the one that runs or the one to come: turns are cancelled, their updates stay."""
        self._hurried.set()

    # --- up ----------------------------------------------------------------------------------------------------

    async def start(self, group: TaskGroup) -> None:
        """Start every part, then the bots; returns when the first pass over the files is done."""
        await group.start(self._hold_pool, name="fleet/pool")
        parts = {
            "journal": self.journal.run,
            "log writer": self._write_logs,
            "metrics": self._write_metrics,
            "retention": self._prune,
        }
        for name, part in parts.items():
            group.start_soon(tend, name, part, self.clock, name=f"fleet/{name}")
        self._publish(FleetStarted, pid=self.owner.pid, version=self.owner.version)
        await self.pool.apply(self.snapshot)
        # What exists now lives as long as the fleet: a full collection no longer walks it (26 ms at 1,000 bots).
        gc.freeze()
        # What a turn leaves behind is freed by counting; young collections every 700 objects found nothing (17 % of CPU).
        gc.set_threshold(20_000, 20, 20)

    async def _hold_pool(self, *, task_status: TaskStatus[None]) -> None:
        await self.pool.run(task_status=task_status)

    # --- all the time ------------------------------------------------------------------------------------------

    async def flush_logs(self) -> None:
        """Write down every log line taken before."""
        async with self._log_turn:
            await self.logbook.write_down(self.store)

    async def _write_logs(self) -> None:
        while True:
            await self.clock.sleep(LOGS_S)
            await self.flush_logs()

    async def _write_metrics(self) -> None:
        while True:
            await self.clock.sleep(METRICS_S)
            await self.metrics.flush(self.store)

    async def _prune(self) -> None:
        """Delete what is past its time, a small batch at a time."""
        while True:
            deleted = 0
            with suppress(StoreError):  # the pool says that the database refuses; old rows can wait
                deleted = await self.store.prune(retention_rules(self.snapshot), int(self.clock.now() * 1000))
            await self.clock.sleep(PRUNE_BUSY_S if deleted else PRUNE_IDLE_S)

    def _publish(self, kind: type[FleetStarted | FleetStopped], **data: object) -> None:
        self.bus.publish(kind(bot_id=FLEET, at=self.clock.now(), **data))  # type: ignore[arg-type]

    # --- down --------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Bring all bots to rest and write down everything, within SHUTDOWN_S. Not to be cancelled."""
        with anyio.CancelScope(shield=True), self.clock.deadline(SHUTDOWN_S) as limit:
            with Guarded("drain"):
                await self._drain()
            await self._write_last()
        if limit.cancelled_caught:
            logger.critical("the shutdown took longer than %.0f s and was cut off", SHUTDOWN_S)

    async def _drain(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._cut_short)
            await self.pool.shutdown()
            group.cancel_scope.cancel()

    async def _cut_short(self) -> None:
        await self._hurried.wait()
        while True:  # a bot that begins to drain only now is cut short as well
            self.pool.cut_short()
            await self.clock.sleep(HURRY_S)

    async def _write_last(self) -> None:
        self._publish(FleetStopped, pid=self.owner.pid, reason="asked to")
        for name, last in (
            ("journal", self.journal.close),
            ("metrics", lambda: self.metrics.flush(self.store)),
            ("log writer", self.flush_logs),
        ):
            with Guarded(name):
                await last()


@asynccontextmanager
async def open_fleet(
    root: Path,
    *,
    environment: str | None = None,
    log_format: str | None = None,
    clock: Clock | None = None,
    channels: OpenChannel = open_channel,
    serve: bool = True,
) -> AsyncIterator[Fleet]:
    """Run the fleet of a folder for the length of the block; leaving it drains and stops everything.

    Raises FleetOwned (somebody else runs it), ConfigInvalid (fleet.toml, its environment or .env is bad: bots'
    own files are not), StoreError, SocketUnusable. channels is a seam for tests and embedding.
    """
    clock = clock or SystemClock()
    raise_descriptor_limit()
    place = await anyio.to_thread.run_sync(find, root, environment)
    path = socket_path(place.database)
    owner = Owner(os.getpid(), uuid.uuid4().hex, version(), str(path), clock.now())
    async with AsyncExitStack() as stack:
        lock = await Lock.take(place.database, owner, clock)
        stack.callback(lock.release)
        loader, snapshot = await _load(root, environment)
        book = _open_logbook(stack, snapshot, log_format)
        doorway = await stack.enter_async_context(open_doorway(path, clock)) if serve else None
        services = await _services(stack, snapshot, clock, channels, book.redactor.clean)
        fleet = Fleet(place, owner, loader, snapshot, book, services, environment=environment)
        try:
            async with _running(fleet, doorway):
                yield fleet
        except BaseExceptionGroup as group:
            # What the block raised is to be caught as it was raised, not as a bundle of one.
            raise group.exceptions[0] if len(group.exceptions) == 1 else group from None


async def _load(root: Path, environment: str | None) -> tuple[Loader, Snapshot]:
    loader = Loader(root, environment=environment)
    snapshot = await anyio.to_thread.run_sync(loader.load)
    if snapshot.fleet_problems:
        raise ConfigInvalid(snapshot.fleet_problems)
    gc.collect()  # what loading left behind, while nobody waits for the loop
    return loader, snapshot


def _open_logbook(stack: AsyncExitStack, snapshot: Snapshot, log_format: str | None) -> Logbook:
    """Lead all logging through a logbook; what fails from here on is told there, with its secrets taken out."""
    log = snapshot.fleet.log
    stream = cast("IO[str]", stack.enter_context(Spout(STDERR)))
    book = Logbook(
        Redactor(snapshot.secrets),
        level=log.level,
        form=log_format or log.format,
        stream=stream,
        colour=wants_colour(STDERR, os.environ),
    )
    stack.enter_context(installed(book))
    stack.enter_context(Told())
    return book


async def _services(
    stack: AsyncExitStack, snapshot: Snapshot, clock: Clock, channels: OpenChannel, clean: Callable[[str], str]
) -> Services:
    """Open the database and make what all workers share; the stack closes it."""
    durability = snapshot.fleet.store.durability
    store = await Store.open(snapshot.database, now_ms=int(clock.now() * 1000), durability=durability)
    stack.push_async_callback(_calmly, store.close)
    if store.unclean:
        await _check(store)
    http = Http()
    stack.push_async_callback(_calmly, http.close)
    engine = Engine(Providers(http, clock), clock)
    return Services(clock, store, Bus(), http, Metrics(clock), engine, channels, clean)


async def _calmly(close: Callable[[], Awaitable[None]]) -> None:
    """Close something to the end, also when the start was cancelled."""
    with anyio.CancelScope(shield=True):
        await close()


async def _check(store: Store) -> None:
    """Look at a database its last process did not close. Raises StoreCorrupt."""
    logger.warning("the database was not closed cleanly; checking it")
    found = await store.check()
    if found:
        raise StoreCorrupt(
            f"{store.path} is damaged: {found[0]}", "restore a copy made by `botdeck backup`; nothing was changed"
        )


@asynccontextmanager
async def _running(fleet: Fleet, doorway: Doorway | None) -> AsyncIterator[None]:
    """Run a fleet's parts for the length of the block, in the order the module's docstring gives."""
    follower = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        try:
            await fleet.start(group)
            group.start_soon(_follow_files, fleet, follower, name="fleet/files")
            if doorway is not None:
                serve = doorway.serve
                group.start_soon(tend, "control socket", lambda: serve(fleet.control), fleet.clock, name="fleet/web")
            yield
        finally:
            fleet.control.closing = True
            follower.cancel()
            await fleet.stop()
            group.cancel_scope.cancel()


async def _follow_files(fleet: Fleet, scope: anyio.CancelScope) -> None:
    with scope:
        await tend("configuration watch", fleet.reloader.run, fleet.clock)


def raise_descriptor_limit() -> None:
    """Allow as many open files as the system lets us: every polling bot holds a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems name a limit they do not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def retention_rules(snapshot: Snapshot) -> dict[str, int]:
    """Return table → days kept."""
    return {name.removesuffix("_days"): days for name, days in snapshot.fleet.retention.model_dump().items()}
