"""A bot spoken with by a program, on a real store, with a model that says what the test has written down."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio

from config.schema import BotConfig
from config.snapshot import BotSpec
from store.database import Store
from store.events import Event
from workers.bot import Bot, BotContext
from workers.bus import Bus, Subscription
from workers.chat.engine import Engine
from workers.chat.summary import Summaries
from workers.clock import ManualClock
from workers.http import Http
from workers.llm.asking import Asker
from workers.llm.base import Chunk, Completion, CompletionRequest, ToolCall, Usage
from workers.metrics import Metrics
from workers.prices import Prices
from workers.redaction import Redactor
from workers.services import Services
from workers.tools.toolbox import Toolboxes

Piece = str | Exception | ToolCall
ALICE = BotContext("c1", "alice", "u1")


def question_of(request: CompletionRequest) -> str:
    return request.messages[-1].content


class Model:
    """A provider for every bot. `script` gives the pieces of an answer; an exception among them is raised there."""

    def __init__(self) -> None:
        self.requests: list[CompletionRequest] = []
        self.script: Callable[[CompletionRequest], Iterable[Piece]] = lambda request: ["re ", question_of(request)]
        self.gate = anyio.Event()
        self.gate.set()
        self.waiting = self.most = self.given_up = 0

    def get(self, config: Any) -> Model:
        return self

    @property
    def asked(self) -> list[str]:
        return [question_of(request) for request in self.requests]

    def hold(self) -> None:
        """Let calls arrive but not be answered."""
        self.gate = anyio.Event()

    def release(self) -> None:
        self.gate.set()

    async def complete(self, request: CompletionRequest) -> Completion:
        async for chunk in self.stream(request):
            if chunk.completion is not None:
                return chunk.completion
        raise AssertionError("a script ends with an answer or an exception")

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        self.requests.append(request)
        said: list[str] = []
        calls: list[ToolCall] = []
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            for piece in self.script(request):
                await self.gate.wait()
                if isinstance(piece, Exception):
                    raise piece
                if isinstance(piece, ToolCall):
                    calls.append(piece)
                    continue
                said.append(piece)
                yield Chunk(piece)
            yield Chunk(completion=Completion("".join(said), Usage(3, 2, 1), "double", tool_calls=tuple(calls)))
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        finally:
            self.waiting -= 1


class Place:
    """What bots share; `bot` makes one whose configuration is exchanged by `write`."""

    def __init__(
        self, store: Store, clock: ManualClock, services: Services, model: Model, events: Subscription
    ) -> None:
        self.store = store
        self.clock = clock
        self.services = services
        self.model = model
        self.sections: dict[str, Any] = {
            "channel": "none",
            "llm": {"model": "double", "choices": ["other"]},
            "prompts": {"system": " "},
        }
        self._events = events

    def spec(self, bot_id: str = "support") -> BotSpec:
        config = BotConfig.model_validate(self.sections)
        return BotSpec(bot_id, config, Path(bot_id), str(self.sections))

    def bot(self, bot_id: str = "support", **sections: Any) -> Bot:
        """A bot of what is written down, changed by sections."""
        for name, value in sections.items():
            known = self.sections.get(name)
            self.sections[name] = {**known, **value} if isinstance(known, dict) else value
        spec = self.spec(bot_id)
        return Bot(bot_id, lambda: spec, self.services)

    def rows(self, table: str, bot_id: str = "support") -> int:
        """How many rows of a bot are committed, read past everything held in memory."""
        with closing(sqlite3.connect(self.store.path)) as connection:
            sql = f"SELECT count(*) FROM {table} WHERE bot_id = ?"
            return int(connection.execute(sql, (bot_id,)).fetchone()[0])

    async def said(self, bot: Bot, context: BotContext = ALICE) -> list[str]:
        """What is stored of a conversation."""
        found = await bot.get_conversation(context)
        return [message.content for message in found.messages] if found is not None else []

    def events(self) -> list[Event]:
        return self._events.take()


@asynccontextmanager
async def place(root: Path, clock: ManualClock) -> AsyncIterator[Place]:
    """A place on a store in a folder, taken down at the end."""
    clean = (redactor := Redactor()).clean
    bus, http, metrics, model, prices = Bus(clean), Http(clean=clean), Metrics(clock), Model(), Prices()
    asker = Asker(model, clock)  # type: ignore[arg-type]
    async with await Store.open(root / "x.db", now_ms=1, durability="normal") as store:
        boxes = Toolboxes(root, http, clock, bus, metrics, clean)
        engine = Engine(asker, clock, boxes, Summaries(asker, prices, metrics, clock), clean=clean)
        services = Services(clock, store, bus, http, metrics, engine, redactor=redactor, prices=prices)
        with bus.subscribe() as events:
            await boxes.open()
            try:
                yield Place(store, clock, services, model, events)
            finally:
                await boxes.close()
                await http.close()
