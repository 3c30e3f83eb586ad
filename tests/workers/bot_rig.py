"""One bot on a real store, with a loopback channel and a model held in hand, for the tests of the message path."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio

from config.schema import BotConfig
from config.snapshot import BotSpec
from config.vocabulary import Condition
from store.database import Store
from store.events import Event
from tests.waiting import eventually
from workers.bus import Bus, Subscription
from workers.channels.base import Channel, Identity
from workers.channels.loopback import LoopbackChannel
from workers.chat.engine import Engine
from workers.clock import ManualClock
from workers.conditions import Conditions
from workers.http import Http
from workers.llm.asking import Asker
from workers.llm.base import Completion, CompletionRequest, Usage
from workers.metrics import Metrics
from workers.services import Services
from workers.worker import Worker

BOT = "support"


class Model:
    """A provider that remembers what it was asked, and can be held, made to fail, or made to crash."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.systems: list[str] = []
        self.gate: anyio.Event | None = None
        self.errors: list[Exception] = []
        self.crash_at: dict[str, int] = {}
        self.waiting = 0

    def get(self, config: Any) -> Model:
        """Be the provider of every bot."""
        return self

    async def complete(self, request: CompletionRequest) -> Completion:
        text = request.messages[-1].content
        self.asked.append(text)
        self.systems.append(request.messages[0].content)
        if self.crash_at.get(text, 0) > 0:
            self.crash_at[text] -= 1
            raise RuntimeError(f"crashed by {text}")
        if self.errors:
            raise self.errors.pop(0)
        if self.gate is not None:
            self.waiting += 1
            try:
                await self.gate.wait()
            finally:
                self.waiting -= 1
        return Completion(f"re {text}", Usage(3, 2), "double")

    def hold(self) -> None:
        """Let calls arrive but not be answered."""
        self.gate = anyio.Event()

    def release(self) -> None:
        """Answer those that wait and all to come."""
        assert self.gate is not None
        self.gate.set()
        self.gate = None


class House:
    """What stays when a worker ends: the store, the channel's other side, the model, time."""

    def __init__(
        self, store: Store, clock: ManualClock, http: Http, path: Path, events: Subscription, bus: Bus
    ) -> None:
        self.store = store
        self.clock = clock
        self.path = path
        self.model = Model()
        self.sections: dict[str, Any] = {"channel": "none"}
        self.channel: LoopbackChannel = LoopbackChannel(clock=clock, identity=Identity(77, "support_bot"))
        self.conditions = Conditions(clock)
        self.partition = store.partition(BOT)
        self._listening = events
        self.heard: list[Event] = []
        self.services = Services(
            clock=clock,
            store=store,
            bus=bus,
            http=http,
            metrics=Metrics(clock),
            engine=Engine(Asker(self.model, clock), clock),  # type: ignore[arg-type]
            open_channel=self._open,
        )

    def _open(self, bot_id: str, config: BotConfig, http: Http, clock: Any) -> Channel:
        self.channel.apply(config)
        return self.channel

    def spec(self, **sections: Any) -> BotSpec:
        """The bot's file, with sections laid over the plain one."""
        for name, value in sections.items():
            known = self.sections.get(name)
            self.sections[name] = {**known, **value} if isinstance(known, dict) else value
        return BotSpec(BOT, BotConfig.model_validate(self.sections), Path("bots/support.toml"), "digest")

    def worker(self, **options: Any) -> Worker:
        """A worker made anew, as the keeper makes one for each run."""
        return Worker(self.spec(), self.services, self.conditions, **options)

    @asynccontextmanager
    async def running(
        self, worker: Worker | None = None, *, ready: bool = True, **options: Any
    ) -> AsyncIterator[Worker]:
        """Run a worker until the block ends; it is cancelled then. What it raises is raised here."""
        worker = worker or self.worker(**options)
        started = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run, started.set)
            if ready:
                with anyio.fail_after(10):
                    await started.wait()
            yield worker
            group.cancel_scope.cancel()

    async def one_run(self, until: Callable[[], Any]) -> None:
        """Run a worker until something is so, then drain it."""
        async with self.running() as worker:
            await eventually(until)
            await self.drained(worker)

    async def drained(self, worker: Worker) -> None:
        """Drain a worker and wait until it has finished what it had begun."""
        worker.drain()
        await eventually(lambda: worker.vitals().in_turn == 0)

    # --- what there is to see ----------------------------------------------------------------------------------

    @property
    def answers(self) -> list[str]:
        """All texts people got, in order."""
        return [sent.text for sent in self.channel.sent]

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Read the database as it stands."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def outcomes(self) -> Counter[str | None]:
        """What became of the updates; None = open."""
        return Counter(outcome for (outcome,) in self.rows("SELECT outcome FROM updates"))

    def sends(self) -> list[str]:
        """The states of the sends, in order."""
        return [state for (state,) in self.rows("SELECT state FROM outbox ORDER BY outbox_id")]

    def settled(self) -> bool:
        """Whether nothing is open: every update fetched and finished, every send finished too."""
        outcomes = self.outcomes()
        fetched = self.channel.pending == self.store.pending == 0 and bool(outcomes)
        return fetched and None not in outcomes and not {"pending", "attempting"} & set(self.sends())

    def ambiguous(self) -> int:
        """How many sends were ever in doubt."""
        return int(self.rows("SELECT coalesce(sum(ambiguous_sends), 0) FROM bots")[0][0])

    def reason(self, condition: Condition) -> str:
        """Why a condition is as it is."""
        return str(self.conditions.as_dict().get(condition.value, {"reason": ""})["reason"])

    async def advance(self, seconds: float) -> None:
        """Move time, and before and after it let everything come to rest that waits for the database only."""
        await self.rest()
        await self.clock.advance(seconds)
        await self.rest()

    async def rest(self) -> None:
        """Wait until no write is under way, and none follows from those that were."""
        quiet = 0
        while quiet < 20:
            await eventually(lambda: self.store.pending == 0)
            await anyio.lowlevel.checkpoint()
            quiet = quiet + 1 if self.store.pending == 0 else 0

    async def in_time(self, condition: Callable[[], Any], step_s: float = 0.5) -> None:
        """Let time pass until something is so."""

        async def look() -> Any:
            await self.advance(step_s)
            return condition()

        await eventually(look)

    async def lapse(self, seconds: int) -> None:
        """Let time pass second by second, each time waiting for what it set off in the database."""
        for _ in range(seconds):
            await self.advance(1)

    def events(self, kind: type[Event]) -> list[Event]:
        """What the bus has told of one kind."""
        self.heard += self._listening.take()
        return [event for event in self.heard if isinstance(event, kind)]

    # --- a database that refuses -------------------------------------------------------------------------------

    async def break_store(self) -> None:
        """Let the database refuse writes from now on, as a file system gone read-only does."""
        await self.store._writer.write(lambda c: c.execute("PRAGMA query_only = ON").rowcount)

    async def mend_store(self) -> None:
        """Let it take writes again."""
        await eventually(lambda: self.store.pending == 0)
        self.store._writer._connection.execute("PRAGMA query_only = OFF")
        assert await self.store.probe(self.services.now_ms())


@asynccontextmanager
async def bot_house(tmp_path: Path, clock: ManualClock | None = None) -> AsyncIterator[House]:
    """Give a house with an empty store."""
    clock = clock or ManualClock()
    path, bus, http = tmp_path / "house.db", Bus(), Http()
    with bus.subscribe(100_000) as events:
        async with await Store.open(path, now_ms=int(clock.now() * 1000)) as store:
            yield House(store, clock, http, path, events, bus)
    await http.close()
