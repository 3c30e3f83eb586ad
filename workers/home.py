"""Services of a program that runs no fleet: a database of its own, and what keeps it in order."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio

from config.schema import RetentionSection
from store.database import Store
from store.errors import StoreError, StoreOpenError
from workers.clock import Clock
from workers.housekeeping import Housekeeper
from workers.journal import EventJournal
from workers.services import Services, open_services
from workers.storewatch import StoreWatch
from workers.tending import Guarded, tend

METRICS_S: Final = 60.0
PATIENCE_S: Final = 0.3
RETRY_S: Final = 0.02
"""Whoever looks at the lock holds it for a moment."""


class Home:
    """Opens services at their first use, in a task of its own, and closes them there. Belongs to one event loop.

    database None is a temporary file, which goes with `close`. The database belongs to one process: it is locked as a
    fleet locks its own.
    """

    def __init__(self, database: Path | None, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._opened: asyncio.Future[Services] | None = None
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def services(self) -> Services:
        """Return the services. Raises StoreError; asked again it tries again. Safe to cancel."""
        opened, task = self._opened, self._task
        if opened is None or task is None or task.done():
            if self._ended.is_set():
                raise StoreError("the database was closed")
            opened = self._opened = asyncio.get_running_loop().create_future()
            task = self._task = asyncio.create_task(self._live(opened), name="botdeck/home")
            task.add_done_callback(_seen)
        if not opened.done():
            await asyncio.wait((opened, task), return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            task.result()
        return opened.result()

    async def close(self) -> None:
        """Write down what is unwritten, and close the database. Safe to call twice, and to cancel."""
        self._ended.set()
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _live(self, opened: asyncio.Future[Services]) -> None:
        async with _open(self._database, self._clock) as services, _kept(services):
            opened.set_result(services)
            await self._ended.wait()


def _seen(task: asyncio.Task[None]) -> None:
    """Whoever asked may be gone: an error nobody hears of is none to warn of."""
    if not task.cancelled():
        task.exception()


@asynccontextmanager
async def _open(database: Path | None, clock: Clock) -> AsyncIterator[Services]:
    if database is None:
        with TemporaryDirectory(prefix="botdeck-") as folder:
            async with open_services(Path(folder) / "botdeck.db", clock) as services:
                yield services
    else:
        async with _locked(database, clock), open_services(database, clock) as services:
            yield services


@asynccontextmanager
async def _kept(services: Services) -> AsyncIterator[None]:
    """Keep the database in order for the length of the block: what a fleet does beside its bots."""
    store, clock = services.store, services.clock
    journal = EventJournal(services.bus, store, clock)
    retention = RetentionSection()
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "journal": journal.run,
        "database check": partial(_check, store),
        "database watch": StoreWatch(services, _recovered).run,
        "retention": Housekeeper(store, clock, lambda: retention, services.root).run,
        "metrics": lambda: _write_metrics(services),
    }
    if services.engine.summaries is not None:
        parts["summaries"] = services.engine.summaries.run
    async with anyio.create_task_group() as group:
        for name, part in parts.items():
            group.start_soon(tend, name, part, clock, name=f"botdeck/{name}")
        yield
        group.cancel_scope.cancel()
    for name, last in (("journal", journal.close), ("metrics", lambda: services.metrics.flush(store))):
        with Guarded(name):
            await last()


async def _check(store: Store) -> None:
    """Check a large database that was not closed cleanly, beside everything else; damage is a fault of the store."""
    if store.unclean:
        await store.check()


def _recovered(_: float) -> None:
    """Nobody polls here, so nobody is to be told."""


async def _write_metrics(services: Services) -> None:
    while True:
        await services.clock.sleep(METRICS_S)
        await services.metrics.flush(services.store)


@asynccontextmanager
async def _locked(database: Path, clock: Clock) -> AsyncIterator[None]:
    """Hold the lock of a database. Raises StoreOpenError when somebody has it."""
    with _lock_file(database) as descriptor:
        deadline = clock.monotonic() + PATIENCE_S
        while not _lock(descriptor):
            if clock.monotonic() >= deadline:
                raise StoreOpenError(f"{database} belongs to another process", "one process at a time may write it")
            await clock.sleep(RETRY_S)
        os.ftruncate(descriptor, 0)  # it may name the one before
        yield


@contextmanager
def _lock_file(database: Path) -> Iterator[int]:
    database.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(database.with_name(f"{database.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
