"""A real fleet before the Bot API double, with proxies in between and time in hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from config.vocabulary import Condition, Phase
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from store.database import Store
from tests.network.proxy import Proxy
from tests.waiting import eventually
from tests.workers.pool_rig import Fleet
from workers.bus import Bus
from workers.chat.engine import Engine
from workers.clock import Clock, ManualClock
from workers.http import Http
from workers.llm import Providers
from workers.llm.asking import Asker
from workers.metrics import Metrics
from workers.services import Services
from workers.worker import Worker

POLL_S = 30
QUIET = 3
"""Looks at which nothing had moved; they are some milliseconds apart."""


class Place:
    """A fleet, its double and the proxies before it."""

    def __init__(self, rig: Fleet, sandbox: Sandbox, clock: ManualClock, roads: list[Proxy]) -> None:
        self.rig = rig
        self.sandbox = sandbox
        self.clock = clock
        self.bots: dict[str, SandboxBot] = {}
        self.roads = roads

    async def start(
        self, bot_ids: list[str], road: Proxy, *, origin: str = "http://127.0.0.1", **sections: Any
    ) -> None:
        """Start bots that reach the double by that road, and wait until they poll."""
        for bot_id in bot_ids:
            bot = self.bots[bot_id] = self.sandbox.add_bot()
            base_url = f"{origin}:{road.port}/bot"
            telegram = {"token": bot.token, "base_url": base_url, "poll_timeout_s": POLL_S}
            self.rig.edit(bot_id, channel="telegram", telegram=telegram, **sections)
        await self.rig.apply()
        await eventually(lambda: all(self.bots[bot_id].polled for bot_id in bot_ids))

    # --- time --------------------------------------------------------------------------------------------------

    async def rest(self) -> None:
        """Wait until nothing moves any more without time passing: each poll waits for an answer, nothing is written."""
        quiet, before = 0, self._moved()

        def still() -> bool:
            nonlocal quiet, before
            now = self._moved()
            rests = now == before and self.rig.store.pending == 0 and self._asking() <= self._waiting()
            quiet, before = quiet + 1 if rests else 0, now
            return quiet == QUIET

        await eventually(still, within_s=60)

    def _moved(self) -> tuple[int, ...]:
        return self._asking(), self._waiting(), *(road.moved for road in self.roads)

    def _asking(self) -> int:
        seen = [keeper.vitals() for keeper in self.rig.pool._keepers.values()]
        return sum(1 for vitals in seen if vitals is not None and vitals.poll_in_flight_s is not None)

    def _waiting(self) -> int:
        return sum(road.waiting for road in self.roads)

    async def lapse(self, seconds: float, step_s: float = 1.0) -> None:
        """Let time pass, each step only once what the last one set off in the network has happened."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            await self.clock.advance(min(step_s, end - self.clock.monotonic()))
            await self.rest()

    async def until(self, condition: Any, *, within_s: float, step_s: float = 1.0) -> float:
        """Let time pass until something is so; return for how long. Fails after within_s of held time."""
        began = self.clock.monotonic()
        await self.rest()
        while not condition():
            passed_s = self.clock.monotonic() - began
            assert passed_s < within_s, f"not within {within_s} s"
            await self.lapse(step_s)
        return self.clock.monotonic() - began

    # --- what there is to see ----------------------------------------------------------------------------------

    def polling(self) -> list[str]:
        """The bots that poll and know it."""
        return [bot_id for bot_id in self.bots if self.condition(bot_id, Condition.POLLING)["status"] is True]

    def condition(self, bot_id: str, condition: Condition) -> dict[str, Any]:
        return self.rig.bot(bot_id).conditions.get(condition.value, {"status": None, "reason": ""})

    def reasons(self) -> set[str]:
        """Why bots do not poll."""
        return {self.condition(bot_id, Condition.POLLING)["reason"] for bot_id in self.bots}

    def assert_unharmed(self) -> None:
        """No crash, no restart, nothing held against anybody."""
        for status in self.rig.pool.bots():
            assert (status.phase, status.restarts, status.failures) == (Phase.RUNNING, 0, []), status
        assert self.rig.pool.held is None


@asynccontextmanager
async def place(path: Path, clock: ManualClock, *, roads: int = 1, http: Http | None = None) -> AsyncIterator[Place]:
    """A running pool of real workers without bots yet, a double, and so many proxies before it."""
    http = http or Http()
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(clock=clock))
        store = await stack.enter_async_context(await Store.open(path / "botdeck.db", now_ms=int(clock.now() * 1000)))
        stack.push_async_callback(http.close)
        services = _services(store, clock, http)
        rig = Fleet(services, clock, stack.enter_context(services.bus.subscribe(100_000)))
        rig.pool._house.make_worker = Worker
        proxies = [await stack.enter_async_context(road_to(sandbox, clock)) for _ in range(roads)]
        group = await stack.enter_async_context(anyio.create_task_group())
        await group.start(rig.pool.run)
        try:
            yield Place(rig, sandbox, clock, proxies)
        finally:
            group.cancel_scope.cancel()


@asynccontextmanager
async def road_to(sandbox: Sandbox, clock: Clock | None = None) -> AsyncIterator[Proxy]:
    """A proxy before a double, which answers to the proxy's address as to its own."""
    async with Proxy(sandbox.port, clock) as proxy:
        sandbox._hosts |= {f"127.0.0.1:{proxy.port}", f"localhost:{proxy.port}"}
        yield proxy


def _services(store: Store, clock: Clock, http: Http) -> Services:
    engine = Engine(Asker(Providers(http, clock), clock), clock)
    return Services(clock=clock, store=store, bus=Bus(), http=http, metrics=Metrics(clock), engine=engine)
