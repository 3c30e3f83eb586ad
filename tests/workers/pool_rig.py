"""A pool on a real store, with time in hand and workers that follow a script, for the tests of supervision."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio

from config.change import BotChange
from config.errors import Problem
from config.schema import BotConfig, FleetConfig
from config.snapshot import BotSpec, Snapshot
from config.vocabulary import Phase
from store.database import Store
from store.events import Event
from tests.waiting import eventually
from workers.bus import Bus
from workers.clock import Clock, ManualClock
from workers.conditions import Conditions
from workers.http import Http
from workers.metrics import Metrics
from workers.pool import Pool
from workers.services import Services
from workers.status import BotStatus
from workers.underway import Underway
from workers.worker import Vitals, Worker

Script = Callable[["Puppet", Callable[[], None]], Awaitable[None]]


class Puppet:
    """One run of a scripted worker. `turn` is what is in flight, if anything; a drain waits for it."""

    def __init__(self, script: Script, spec: BotSpec, conditions: Conditions, *, paused: bool) -> None:
        self.script = script
        self.spec = spec
        self.conditions = conditions
        self.paused = paused
        self.applied: list[BotSpec] = []
        self.drained = anyio.Event()
        self.turn: anyio.Event | None = None
        self.cancelled = False
        self.cleaned_up = False
        self.let_gone = False
        self.seen = Vitals(last_poll_age_s=0.0)

    async def run(self, on_ready: Callable[[], None]) -> None:
        try:
            await self.script(self, on_ready)
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise

    def drain(self) -> None:
        self.drained.set()

    def let_go(self) -> None:
        self.let_gone = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def apply(self, spec: BotSpec) -> None:
        self.spec = spec
        self.applied.append(spec)

    def vitals(self) -> Vitals:
        return self.seen

    def underway(self) -> list[Underway]:
        return []


async def serve(puppet: Puppet, on_ready: Callable[[], None]) -> None:
    """Be ready, serve until drained, finish the turn in flight."""
    on_ready()
    await puppet.drained.wait()
    if puppet.turn is not None:
        await puppet.turn.wait()


async def never_ready(puppet: Puppet, on_ready: Callable[[], None]) -> None:
    """Wait for a network that never comes."""
    await puppet.drained.wait()


def crash_with(error: BaseException, *, ready: bool = True) -> Script:
    """Crash at once, or as soon as it was ready."""

    async def crash(puppet: Puppet, on_ready: Callable[[], None]) -> None:
        if ready:
            on_ready()
            await anyio.lowlevel.checkpoint()
        raise error

    return crash


def stubborn(release: anyio.Event) -> Script:
    """Serve, and ignore every cancellation until released."""

    async def ignore(puppet: Puppet, on_ready: Callable[[], None]) -> None:
        on_ready()
        while not release.is_set():
            try:
                await release.wait()
            except anyio.get_cancelled_exc_class():
                puppet.cancelled = True

    return ignore


class Fleet:
    """A running pool, its files and its workers. Edits count once `apply` is called."""

    def __init__(self, services: Services, clock: ManualClock, events: Any) -> None:
        self.services = services
        self.store = services.store
        self.clock = clock
        self.files: dict[str, dict[str, Any]] = {}
        self.bad: dict[str, str] = {}
        self.kept: dict[str, BotSpec] = {}
        self.start: dict[str, Any] = {"rate_per_s": 0, "max_starting": 1000}
        self.scripts: dict[str, list[Script]] = defaultdict(list)
        self.default: Script = serve
        self.puppets: dict[str, list[Puppet]] = defaultdict(list)
        self.pool = Pool(services, make_worker=cast("Any", self._make))
        self._heard: list[Event] = []
        self._events = events
        self._specs: dict[str, BotSpec] = {}

    def _make(self, spec: BotSpec, services: Services, conditions: Conditions, *, paused: bool) -> Puppet:
        scripts = self.scripts[spec.bot_id]
        script = scripts.pop(0) if scripts else self.default
        puppet = Puppet(script, spec, conditions, paused=paused)
        self.puppets[spec.bot_id].append(puppet)
        return puppet

    def edit(self, bot_id: str, **sections: Any) -> None:
        """Lay sections over a bot's file, making it if there is none."""
        self.bad.pop(bot_id, None)
        data = self.files.setdefault(bot_id, {"channel": "none"})
        for name, value in sections.items():
            data[name] = {**data.get(name, {}), **value} if isinstance(value, dict) else value

    def add(self, *bot_ids: str) -> None:
        """Make plain files."""
        for bot_id in bot_ids:
            self.edit(bot_id)

    def spoil(self, bot_id: str, message: str) -> None:
        """Make a bot's file bad."""
        self.bad[bot_id] = message
        self.files.setdefault(bot_id, {"channel": "none"})

    def delete(self, bot_id: str) -> None:
        del self.files[bot_id]
        self.bad.pop(bot_id, None)

    def snapshot(self) -> Snapshot:
        """What loading the folder would give; specs of files that did not change are the very same objects."""
        bots: dict[str, BotSpec] = {}
        kept: dict[str, BotSpec] = {}
        for bot_id, data in self.files.items():
            digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
            known = self._specs.get(bot_id)
            if bot_id in self.bad:
                if known is not None:
                    kept[bot_id] = known
                continue
            if known is None or known.digest != digest:
                known = BotSpec(bot_id, BotConfig.model_validate(data), Path(f"bots/{bot_id}.toml"), digest)
            bots[bot_id] = self._specs[bot_id] = known
        problems = tuple(
            Problem(Path(f"bots/{bot_id}.toml"), 3, 1, "llm", text, bot_id=bot_id) for bot_id, text in self.bad.items()
        )
        fleet = FleetConfig.model_validate(
            {"start": {k: float(v) if k == "rate_per_s" else v for k, v in self.start.items()}}
        )
        return Snapshot(Path("fleet"), fleet, "", bots, problems, kept=kept)

    async def apply(self) -> tuple[BotChange, ...]:
        changes = await self.pool.apply(self.snapshot())
        await self.settle()
        return changes

    async def settle(self) -> None:
        """Let everything that can happen without time or the database happen."""
        await self.clock.advance(0)

    @property
    def heard(self) -> list[Event]:
        """Every event so far."""
        self._heard += self._events.take()
        return self._heard

    def kinds(self, bot_id: str) -> list[str]:
        return [event.kind for event in self.heard if event.bot_id == bot_id]

    def puppet(self, bot_id: str) -> Puppet:
        """The latest run."""
        return self.puppets[bot_id][-1]

    def bot(self, bot_id: str) -> BotStatus:
        return self.pool.bot(bot_id)

    def phase(self, bot_id: str) -> Phase:
        return self.pool.bot(bot_id).phase

    async def until(self, bot_id: str, phase: Phase) -> None:
        """Wait for a phase without moving time."""
        await eventually(lambda: self.phase(bot_id) is phase)

    async def written(self) -> None:
        """Let the ledger write down what it has."""

        async def done() -> bool:
            await self.clock.advance(0.3)
            return not self.pool._ledger._changed and self.store.pending == 0

        await eventually(done)


@asynccontextmanager
async def fleet(path: Path, clock: ManualClock, *, worker: Any = None, **services: Any) -> AsyncIterator[Fleet]:
    """Run a pool without bots on the database at path; at the end it is cancelled, as a killed process ends."""
    http = Http()
    async with await Store.open(path / "botdeck.db", now_ms=int(clock.now() * 1000)) as store:
        made = services_on(store, clock, http, **services)
        with made.bus.subscribe(100_000) as events:
            rig = Fleet(made, clock, events)
            if worker is not None:
                rig.pool._house.make_worker = worker
            async with anyio.create_task_group() as group:
                await group.start(rig.pool.run)
                try:
                    yield rig
                finally:
                    group.cancel_scope.cancel()
    await http.close()


def services_on(store: Store, clock: Clock, http: Http, **more: Any) -> Services:
    """Services without a model: scripted workers ask none."""
    return Services(
        clock=clock, store=store, bus=Bus(), http=http, metrics=Metrics(clock), **{"engine": cast("Any", None), **more}
    )


__all__ = ["Fleet", "Puppet", "Worker", "crash_with", "fleet", "never_ready", "serve", "services_on", "stubborn"]
