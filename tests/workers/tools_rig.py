"""The tools of one bot on a real store, real files, real servers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from config.schema import BotConfig
from config.snapshot import BotSpec
from store.database import Store
from store.events import Event, ToolCalled
from workers.bus import Bus, Subscription
from workers.clock import ManualClock
from workers.http import Http
from workers.llm.base import ToolCall
from workers.metrics import Metrics
from workers.redaction import Redactor
from workers.tools.base import ToolContext
from workers.tools.calling import Outcome
from workers.tools.toolbox import Toolbox, Toolboxes

BOT = "support"


class Bench:
    """One fleet's toolboxes and one bot whose tools the test writes down."""

    def __init__(
        self, root: Path, store: Store, clock: ManualClock, http: Http, bus: Bus, events: Subscription
    ) -> None:
        self.root = root
        self.clock = clock
        self.http = http
        self.redactor = Redactor()
        self.partition = store.partition(BOT)
        self.metrics = Metrics(clock)
        self.boxes = Toolboxes(root, http, clock, bus, self.metrics, self.redactor.clean)
        self.sections: dict[str, Any] = {"channel": "none", "tools": []}
        self.heard: list[Event] = []
        self._events = events
        self._saved = 0

    def tool(self, name: str, kind: str, **keys: Any) -> None:
        """Add a `[[tools]]` table."""
        self.sections["tools"].append({"name": name, "kind": kind, **keys})

    def python(self, text: str, *functions: str, file: str = "mine", **keys: Any) -> None:
        """Write tools/<file>.py, and offer functions of it."""
        self.save(file, text)
        for function in functions:
            self.tool(function, "python", callable=f"{file}:{function}", **keys)

    def save(self, file: str, text: str) -> None:
        """Write tools/<file>.py; every save has a time of its own, long before now."""
        path = self.root / "tools" / f"{file}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self._saved += 1
        os.utime(path, (1_600_000_000 + self._saved,) * 2)

    def spec(self, bot_id: str = BOT) -> BotSpec:
        """The bot's configuration as it is written down now."""
        config = BotConfig.model_validate(self.sections)
        digest = json.dumps(self.sections, sort_keys=True, default=str)
        return BotSpec(bot_id, config, Path(f"bots/{bot_id}.toml"), digest)

    @property
    def box(self) -> Toolbox:
        return self.boxes.of(self.spec())

    def context(self, user_id: str = "7", bot_id: str = BOT) -> ToolContext:
        """A turn of its own."""
        return ToolContext(self.partition, "", "7", user_id, 1, self.spec(bot_id), self.clock.now())

    async def names(self) -> list[str]:
        """What the model is offered."""
        return [spec.name for spec in await self.box.specs()]

    async def schema(self, name: str) -> dict[str, Any]:
        return next(spec.parameters for spec in await self.box.specs() if spec.name == name)

    async def run(self, name: str, /, **arguments: Any) -> Outcome:
        await self.box.specs()
        return await self.box.run(ToolCall("c1", name, json.dumps(arguments)), self.context())

    async def call(self, name: str, /, **arguments: Any) -> str:
        """Return what the model is told."""
        return (await self.run(name, **arguments)).text

    def events(self, kind: type[Event] = ToolCalled) -> list[Any]:
        """All events of a kind so far."""
        self.heard += self._events.take()
        return [event for event in self.heard if isinstance(event, kind)]


@asynccontextmanager
async def bench(root: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    """A bench in a folder, taken down at the end."""
    bus, http = Bus(), Http()
    async with await Store.open(root / "x.db", now_ms=1) as store:
        with bus.subscribe() as events:
            made = Bench(root, store, clock, http, bus, events)
            await made.boxes.open()
            try:
                yield made
            finally:
                await made.boxes.close()
                await http.close()


class Server:
    """A real HTTP server that answers as the test says and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer by the path's first word."""
        body = await request.read()
        self.asked.append((request.method, request.path_qs, dict(request.headers), body))
        return await self.answer(request)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Be replaced by the test."""
        return web.json_response({"path": request.raw_path})


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    """Run a server on a free port of the loopback."""
    app = web.Application()
    app.router.add_route("*", r"/{tail:[\s\S]*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


MCP_SERVER = '''
import os, sys, time
from pathlib import Path
from mcp.server.mcpserver import MCPServer

server = MCPServer("demo")
with open("starts", "a") as starts:
    starts.write(f"{os.getpid()}\\n")

@server.tool()
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return f"{a + b} by {os.getpid()}"

@server.tool(name="weird.name/x")
def weird() -> str:
    """Has a name no provider takes."""
    return "weird"

@server.tool()
def leak() -> str:
    """Show a secret."""
    return os.environ.get("DEMO_SECRET", "none") + os.environ.get("OUTER", "")

@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no luck")

@server.tool()
async def hang() -> str:
    """Never answer."""
    import anyio
    Path("hangs").touch()
    await anyio.sleep(3600)

@server.tool()
def die() -> str:
    """End the process."""
    print("dying on purpose", file=sys.stderr, flush=True)
    os._exit(3)

if __name__ == "__main__":
    server.run()
'''


def mcp_command(root: Path) -> list[str]:
    """Write an MCP server made with the official library into a folder; return how to start it, which takes a second."""
    (root / "server.py").write_text(MCP_SERVER, encoding="utf-8")
    return [sys.executable, str(root / "server.py")]


SMALL_MCP_COMMAND = [sys.executable, "-IS", str(Path(__file__).with_name("mcp_server.py"))]
"""How to start a server that offers the same, which takes no time at all."""
