"""One bot at work between the doubles: a real worker and store, the Bot API and the model over real connections."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio

from config.schema import BotConfig
from config.snapshot import BotSpec
from console.sandbox.bots import SandboxBot, SentMessage
from console.sandbox.server import Sandbox
from store.database import Store
from tests.waiting import eventually
from workers.bus import Bus
from workers.chat.engine import Engine
from workers.clock import Clock, SystemClock
from workers.conditions import Conditions
from workers.http import Http
from workers.llm import Providers
from workers.llm.asking import Asker
from workers.metrics import Metrics
from workers.services import Services
from workers.worker import Worker

BOT = "support"
CHAT = 501
GROUP = -1001


class Counter:
    """What there is on both sides of the bot. `sections` is its file."""

    def __init__(self, root: Path, sandbox: Sandbox, services: Services) -> None:
        self.root = root
        self.sandbox = sandbox
        self.model = sandbox.model
        self.services = services
        self.conditions = Conditions(services.clock)
        self.bot: SandboxBot = sandbox.add_bot()
        self.sections: dict[str, Any] = {
            "telegram": {
                "token": self.bot.token,
                "base_url": sandbox.base_url,
                "base_file_url": sandbox.base_file_url,
                "poll_timeout_s": 30,
            },
            "llm": {"provider": "openai", "model": "m", "base_url": sandbox.model_url, "api_key": "sk-model-secret"},
        }

    def spec(self, **sections: dict[str, Any]) -> BotSpec:
        """The bot's file, with sections laid over it."""
        for name, keys in sections.items():
            self.sections[name] = {**self.sections.get(name, {}), **keys}
        return BotSpec(BOT, BotConfig.model_validate(self.sections), Path("bots/support.toml"), "digest")

    @asynccontextmanager
    async def open(self, **sections: dict[str, Any]) -> AsyncIterator[Worker]:
        """Run a worker for the length of the block; it is cancelled then."""
        worker, ready = Worker(self.spec(**sections), self.services, self.conditions), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run, ready.set)
            with anyio.fail_after(10):
                await ready.wait()
            yield worker
            group.cancel_scope.cancel()

    async def answers(self, count: int, chat_id: int = CHAT) -> list[str]:
        """Wait for so many messages to a chat; return what they say now, edits counted in and deleted ones out."""
        await eventually(lambda: len(self.seen(chat_id)) >= count and self.settled())
        return self.seen(chat_id)

    async def answer(self, chat_id: int = CHAT) -> str:
        """Wait for the only message to a chat."""
        (text,) = await self.answers(1, chat_id)
        return text

    def seen(self, chat_id: int = CHAT) -> list[str]:
        """What stands in a chat of the bot's messages."""
        shown: dict[int, SentMessage] = {}
        for sent in self.bot.sent_to(chat_id):
            shown[sent.message_id] = sent
        return [sent.text for number, sent in sorted(shown.items()) if number not in self.bot.deleted]

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Read the database as it stands."""
        with closing(sqlite3.connect(self.root / "counter.db")) as connection:
            return connection.execute(sql, parameters).fetchall()

    def outcomes(self) -> list[str | None]:
        """What became of the updates, in order; None = open."""
        return [outcome for (outcome,) in self.rows("SELECT outcome FROM updates ORDER BY update_id")]

    def settled(self) -> bool:
        """Whether nothing is open."""
        if (self.bot.pending and not self.bot.polled) or None in self.outcomes():
            return False
        # Asked last: what an update has become and its sends are one commit.
        return not self.rows("SELECT 1 FROM outbox WHERE state IN ('pending', 'attempting')")


@asynccontextmanager
async def counter(root: Path, clock: Clock | None = None) -> AsyncIterator[Counter]:
    """Give a counter with an empty store."""
    clock = clock or SystemClock()
    http, bus = Http(), Bus()
    async with (
        Sandbox(clock=clock) as sandbox,
        await Store.open(root / "counter.db", now_ms=int(clock.now() * 1000)) as store,
    ):
        engine = Engine(Asker(Providers(http, clock), clock), clock)
        yield Counter(root, sandbox, Services(clock, store, bus, http, Metrics(clock), engine, root=root))
        await http.close()
