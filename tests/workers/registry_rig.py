"""Registries on a real database, with a model held in hand and time held in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from store.database import Store
from tests.workers.bot_rig import Model
from workers.bot import BotContext
from workers.bus import Bus
from workers.chat.engine import Engine
from workers.clock import ManualClock
from workers.http import Http
from workers.llm.asking import Asker
from workers.metrics import Metrics
from workers.registrations.base import Registration
from workers.registrations.memory import MemoryBackend
from workers.registrations.sqlite import SqliteBackend
from workers.registry import BotRegistry
from workers.services import Services

BACKENDS = {"memory": MemoryBackend, "sqlite": SqliteBackend}


def talk(client: str = "acme", conversation: str = "c1") -> BotContext:
    """Return whose question it is."""
    return BotContext(conversation, client)


async def register(registry: BotRegistry, *bot_ids: str) -> None:
    """Register bots that say who they are."""
    for bot_id in bot_ids:
        await registry.register(bot_id, {"prompts": {"system": f"I am {bot_id}."}})


class CountedBackend(MemoryBackend):
    """Counts how often it was read, and can be made to refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.error: Exception | None = None

    async def get(self, bot_id: str) -> Registration | None:
        """Read, and count it."""
        self.reads += 1
        if self.error is not None:
            raise self.error
        return await super().get(bot_id)


class HeldBackend(CountedBackend):
    """Keeps an answer back until it is let go: what was read before may be out of date by then."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, asyncio.Event] = {}

    def hold(self, method: str) -> asyncio.Event:
        """Keep the next answer of a method back, until the event is set."""
        gate = self.gates[method] = asyncio.Event()
        return gate

    async def _pass(self, method: str) -> None:
        if (gate := self.gates.pop(method, None)) is not None:
            await gate.wait()

    async def get(self, bot_id: str) -> Registration | None:
        """Read; the answer may take its time."""
        found = await super().get(bot_id)
        await self._pass("get")
        return found

    async def put(self, *given: Any) -> Registration:
        """Write; the answer may take its time."""
        found = await super().put(*given)
        await self._pass("put")
        return found


class World:
    """One process: its store, its model, its time."""

    def __init__(self, store: Store, clock: ManualClock, http: Http) -> None:
        self.store = store
        self.clock = clock
        self.model = Model()
        engine = Engine(Asker(self.model, clock), clock)  # type: ignore[arg-type]
        self.services = Services(clock, store, Bus(), http, Metrics(clock), engine)

    def registry(self, backend: Any = None, config: Mapping[str, Any] | None = None, **more: Any) -> BotRegistry:
        """Return a registry of this process."""
        return BotRegistry(backend, config=config, services=self.services, **more)


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    """Open a process's store for the length of the block."""
    clock = ManualClock()
    http = Http()
    async with await Store.open(folder / "botdeck.db", now_ms=int(clock.now() * 1000), durability="normal") as store:
        yield World(store, clock, http)
        await http.close()
