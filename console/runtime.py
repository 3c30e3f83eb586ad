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
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

import anyio
from anyio.abc import TaskGroup, TaskStatus

from config.errors import ConfigInvalid
from config.load import Loader
from config.snapshot import BotSpec, Snapshot
from config.vocabulary import FLEET
from console.cli import version
from console.doorway import Doorway, open_doorway
from console.exposition import Exposition
from console.journals import Journals
from console.keyring import Keyring
from console.local import LocalControl
from console.lock import Lock, Owner
from console.parts import Told
from console.place import Place, find, socket_path
from console.reloader import Reloader
from console.spout import Spout
from console.tenants import Tenants
from console.web.api import Api
from store.events import FleetStarted, FleetStopped
from workers.channels import open_channel
from workers.clock import Clock, SystemClock
from workers.finishing import finished
from workers.housekeeping import Housekeeper
from workers.journal import EventJournal
from workers.logbook import Logbook, installed, wants_colour
from workers.pool import Pool
from workers.redaction import Redactor
from workers.registrations.sqlite import SqliteBackend
from workers.registry import BotRegistry
from workers.services import OpenChannel, Services, open_services
from workers.tending import Guarded, tend
from workers.tools.python import left_behind

if TYPE_CHECKING:
    from console.web.listener import Listener

logger = logging.getLogger("botdeck")

SHUTDOWN_S: Final = 28.0
"""The whole way down; service managers kill at 30 s or later."""
LOGS_S: Final = 0.5
METRICS_S: Final = 60.0
REGISTRATIONS_S: Final = 30.0
"""How soon registered bots follow what lies beneath them: `[defaults]`, the environment, .env."""
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
        self.engine = services.engine
        self.prices = services.prices
        self.logbook = logbook
        self.journal = EventJournal(self.bus, self.store, self.clock)
        self.pool = Pool(services, clean=logbook.redactor.clean)
        self.reloader = Reloader(
            loader, snapshot, apply=self.pool.apply, prepare=self.prepare, bus=self.bus, clock=self.clock
        )
        self.keys = Keyring(services.store.keys, self.clock)
        self.listener: Listener | None = None
        self.control = LocalControl(self)
        self.tenants = Tenants(
            self,
            services,
            BotRegistry(SqliteBackend(), cache_ttl=REGISTRATIONS_S, services=services, foundation=loader.foundation),
        )
        self.journals = Journals(self)
        settings, measures = (lambda: self.snapshot.fleet.api), Exposition(self).pages
        self.api = Api(settings, self.keys, measures, self._unready, self.tenants, self.journals)
        self._log_turn = anyio.Lock()
        self._hurried = anyio.Event()

    @property
    def leaks(self) -> bool:
        """Whether something ignores its cancellation, so that the process ends only by force."""
        return bool(self.pool.leaked) or self.control.lingering or left_behind()

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
        self.prices.own(snapshot.fleet.prices)

    def _unready(self) -> str:
        """Return why the fleet is not to be asked at the moment; nothing when it is."""
        return "shutting down" if self.control.closing else "the database refuses writes" if self.store.fault else ""

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
            "retention": Housekeeper(
                self.store, self.clock, lambda: self.snapshot.fleet.retention, self.place.root
            ).run,
            "database check": self._inspect,
            "summaries": self._condense,
            "keys": self.keys.run,
        }
        for name, part in parts.items():
            group.start_soon(tend, name, part, self.clock, name=f"fleet/{name}")
        self.prices.own(self.snapshot.fleet.prices)
        await self.keys.load()
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
            # A batch that may or may not be written would be written twice.
            await finished(self.logbook.write_down(self.store))

    async def settle(self, bot_id: str) -> None:
        """Write down what was said and done so far, and forget what is measured of a bot: nothing of it comes later."""
        await self.journal.flush()
        await self.flush_logs()
        self.metrics.forget(bot_id)
        if self.engine.summaries is not None:
            self.engine.summaries.forget(bot_id)

    async def _write_logs(self) -> None:
        while True:
            await self.clock.sleep(LOGS_S)
            await self.flush_logs()

    async def _write_metrics(self) -> None:
        """Take up what was spent today before this process began; from then on write down the minutes."""
        self.metrics.figures.recall(await self.store.spent_since(int(self.metrics.figures.midnight * 1000)))
        while True:
            await self.clock.sleep(METRICS_S)
            for status in self.pool.bots():
                if status.inbox_open:
                    self.metrics.observe(status.bot_id, "inbox", status.inbox_open)
            await self.metrics.flush(self.store)

    async def _inspect(self) -> None:
        """Check a large database its last process did not close, beside the bots: they must not wait for it.

        Damage is a fault of the store: polls stop, and the pool tells of it. A small one was checked before it was opened.
        """
        if not self.store.unclean:
            return
        logger.warning("the database was not closed cleanly; it is checked beside the fleet")
        if not await self.store.check():
            logger.info("the database is whole")

    async def _condense(self) -> None:
        if self.engine.summaries is not None:
            await self.engine.summaries.run()

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
            async with anyio.create_task_group() as ending:
                ending.start_soon(self.control.finish_inquiries)
                ending.start_soon(self.tenants.close)
                await self.pool.shutdown()
            group.cancel_scope.cancel()

    async def _cut_short(self) -> None:
        await self._hurried.wait()
        while True:  # a bot that begins to drain only now is cut short as well
            self.pool.cut_short()
            self.control.give_up_inquiries()
            await self.clock.sleep(HURRY_S)

    async def _write_last(self) -> None:
        self._publish(FleetStopped, pid=self.owner.pid, reason="asked to")
        for name, last in (
            ("journal", self.journal.close),
            ("metrics", lambda: self.metrics.flush(self.store)),
            ("keys", self.keys.note),
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
    quiet: bool = False,
) -> AsyncIterator[Fleet]:
    """Run the fleet of a folder for the length of the block; leaving it drains and stops everything.

    Raises FleetOwned (somebody else runs it), ConfigInvalid (fleet.toml, its environment or .env is bad: bots'
    own files are not), StoreError, SocketUnusable. channels is a seam for tests and embedding. quiet: log lines are not
    printed until `logbook.quiet` is taken back.
    """
    clock = clock or SystemClock()
    raise_descriptor_limit()
    leave_no_core_file()
    place = await anyio.to_thread.run_sync(find, root, environment)
    path = socket_path(place.database)
    owner = Owner(os.getpid(), uuid.uuid4().hex, version(), str(path), clock.now())
    async with AsyncExitStack() as stack:
        lock = await Lock.take(place.database, owner, clock)
        stack.callback(lock.release)
        loader, snapshot = await _load(root, environment)
        book = _open_logbook(stack, snapshot, log_format)
        book.quiet = quiet
        doorway = await stack.enter_async_context(open_doorway(path, clock)) if serve else None
        services = await stack.enter_async_context(
            open_services(
                snapshot.database,
                clock,
                root=snapshot.root,
                durability=snapshot.fleet.store.durability,
                channels=channels,
                redactor=book.redactor,
            )
        )
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
                group.start_soon(
                    tend, "control socket", lambda: serve(fleet.control, fleet.api), fleet.clock, name="fleet/web"
                )
                group.start_soon(tend, "API", lambda: _listen(fleet, doorway), fleet.clock, name="fleet/api")
            yield
        finally:
            fleet.control.closing = True
            follower.cancel()
            await fleet.stop()
            group.cancel_scope.cancel()


async def _listen(fleet: Fleet, doorway: Doorway) -> None:
    """Serve the API as soon as the web stack is loaded, where the configuration says."""
    await doorway.serving.wait()
    web = await anyio.to_thread.run_sync(import_module, "console.web.listener")
    fleet.listener = web.Listener(doorway.app, fleet.api, fleet.clock)
    await fleet.listener.run()


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


def leave_no_core_file() -> None:
    """Write no memory down should the interpreter crash: it holds every secret of the fleet."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
