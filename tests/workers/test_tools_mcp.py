"""Tools of MCP servers: real processes and a real HTTP server, shared, restarted, and never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from tests.waiting import eventually
from tests.workers.tools_rig import MCP_SERVER, SMALL_MCP_COMMAND, Bench, Server, bench, mcp_command, serving
from workers.clock import ManualClock
from workers.llm.base import ToolCall
from workers.tools import servers
from workers.tools.servers import IDLE_S, MISSING
from workers.tools.users import AT_ONCE

pytestmark = pytest.mark.anyio

SECRET = "secret-0123456789"


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    async with bench(tmp_path, clock) as made:
        yield made


@pytest.fixture
async def with_process(desk: Bench) -> Bench:
    desk.tool("demo", "mcp", command=SMALL_MCP_COMMAND, env={"DEMO_SECRET": SECRET})
    return desk


def starts(desk: Bench) -> list[int]:
    """The pids of the servers that were started."""
    path = desk.root / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("made_with", ["library", "own words"])
async def test_a_process_is_started_at_its_first_use_and_serves(desk: Bench, made_with: str) -> None:
    """Its tools are offered under names every provider takes, with its schemas; arguments are checked before it is asked.

    The server of the other tests does as one made with the official library does.
    """
    desk.tool("demo", "mcp", command=mcp_command(desk.root) if made_with == "library" else SMALL_MCP_COMMAND)
    box = desk.box
    assert starts(desk) == []
    names = [spec.name for spec in await box.specs()]
    assert names == ["add", "weird_name_x", "leak", "fail", "hang", "die"]
    assert (await desk.schema("add"))["required"] == ["a", "b"]
    [pid] = starts(desk)
    assert await desk.call("add", a=2, b=3) == f"5 by {pid}"
    assert await desk.call("weird_name_x") == "weird"
    assert await desk.call("add", a="x") == "Error: argument b is missing; argument a must be a whole number"
    assert (await desk.call("fail")).startswith("Error: Error executing tool fail")
    assert [event.tool for event in desk.events()] == ["add", "weird_name_x", "add", "fail"]


async def test_a_server_is_shared_by_all_who_describe_it_alike(with_process: Bench) -> None:
    """Two bots, one process; another environment is another server; `allow` is each bot's own."""
    desk = with_process
    await desk.box.specs()
    desk.sections["tools"][0] |= {"name": "mine", "allow": ["add"]}
    other = desk.boxes.of(desk.spec("other"))
    assert [spec.name for spec in await other.specs()] == ["add"]
    assert len(starts(desk)) == 1
    desk.sections["tools"][0]["env"] = {"DEMO_SECRET": "another"}
    await desk.boxes.of(desk.spec("third")).specs()
    assert len(starts(desk)) == 2


async def test_names_that_collide_get_their_servers_name_in_front(with_process: Bench) -> None:
    """The tool of the operator keeps its name."""
    desk = with_process
    desk.sections["tools"].insert(0, {"name": "add", "kind": "python", "callable": "mine:add"})
    desk.save("mine", "def add() -> str:\n    'Mine.'\n    return 'mine'\n")
    names = await desk.names()
    assert names[:2] == ["add", "demo_add"]
    assert await desk.call("add") == "mine"
    assert (await desk.call("demo_add", a=1, b=1)).startswith("2 by")


async def test_a_server_that_dies_is_started_again_after_a_while(
    with_process: Bench, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The call that met its end is told so, as are those that come too soon; the log says what it last said."""
    desk = with_process
    await desk.box.specs()
    assert await desk.call("die") == "Error: its server ended; whether the call was done is not known"
    await eventually(lambda: "dying on purpose" in caplog.text)
    assert "cannot be reached now" in await desk.call("add", a=1, b=1)
    assert "add" in await desk.names(), "what it offers stays known"
    await clock.advance(1.0)
    assert (await desk.call("add", a=1, b=1)).endswith(str(starts(desk)[1]))


async def test_its_troubles_stand_in_the_logs_of_those_who_use_it(
    with_process: Bench, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each bot's own, by the name its file gives the server; of many the first few, the others when they miss it."""
    desk = with_process
    caplog.set_level(logging.INFO, logger="workers.tools.users")
    bots = [f"bot{number}" for number in range(AT_ONCE + 2)]
    for bot_id in bots:
        desk.sections["tools"][0]["name"] = f"demo_{bot_id}"
        await desk.boxes.of(desk.spec(bot_id)).specs()
    caplog.clear()
    [pid] = starts(desk)
    os.kill(pid, signal.SIGKILL)

    def lines() -> dict[str, str]:
        return {record.bot_id: record.getMessage() for record in caplog.records}  # type: ignore[attr-defined]

    await eventually(lambda: len(lines()) == AT_ONCE + 1)
    assert lines()["bot6"].startswith("the MCP server demo_bot6 is away and will be tried again: ")
    assert "and 2 more bots is away" in lines()["_fleet"]
    assert not {"bot0", "bot1"} & lines().keys()
    desk.sections["tools"][0]["name"] = "demo_bot0"
    for _ in range(2):
        await desk.boxes.of(desk.spec("bot0")).specs()
    assert [r.getMessage() for r in caplog.records if r.bot_id == "bot0"] == [  # type: ignore[attr-defined]
        lines()["bot6"].replace("demo_bot6", "demo_bot0")
    ]
    caplog.clear()
    await clock.advance(1.0)
    await eventually(lambda: len(caplog.records) == AT_ONCE + 1)
    assert lines()["bot0"] == "the MCP server demo_bot0 offers 6 tools"
    assert "bot1" not in lines()


async def test_a_server_that_is_killed_is_missed_at_once(
    with_process: Bench, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a call that would meet its end: the next one finds the new process."""
    desk = with_process
    await desk.box.specs()
    [pid] = starts(desk)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: "is away and will be tried again" in caplog.text)
    await clock.advance(1.0)
    await eventually(lambda: len(starts(desk)) == 2)
    assert (await desk.call("add", a=1, b=1)).startswith("2 by")


async def test_a_turn_that_is_cancelled_leaves_the_session_whole(with_process: Bench) -> None:
    """Neither the first use, nor a call under way, belongs to who asked first."""
    desk = with_process
    first = asyncio.create_task(desk.box.specs())
    await eventually(lambda: desk.boxes._parts.servers._sessions)
    first.cancel()
    calling = asyncio.create_task(desk.call("hang"))
    await eventually((desk.root / "hangs").exists)
    calling.cancel()
    await asyncio.wait([first, calling])
    assert (await desk.call("add", a=1, b=2)).startswith("3 by")
    assert len(starts(desk)) == 1


async def test_a_call_that_hangs_is_given_up_and_the_next_is_answered(with_process: Bench, clock: ManualClock) -> None:
    """In the time of the bot's tools."""
    desk = with_process
    await desk.box.specs()
    calling = asyncio.create_task(desk.call("hang"))
    await eventually((desk.root / "hangs").exists)
    await clock.advance(20.0)
    assert await calling == "Error: it took longer than 20 s and was given up"
    assert (await desk.call("add", a=1, b=2)).startswith("3 by")


async def test_a_server_nobody_asks_is_stopped_and_started_when_needed(with_process: Bench, clock: ManualClock) -> None:
    """After half an hour; its process is gone."""
    desk = with_process
    await desk.box.specs()
    [pid] = starts(desk)
    await clock.advance(IDLE_S + 1)
    await eventually(lambda: not is_alive(pid))
    assert (await desk.call("add", a=1, b=2)) == f"3 by {starts(desk)[1]}"


async def test_nothing_is_left_when_the_fleet_ends(with_process: Bench) -> None:
    """The process ends with the toolboxes, and none is started after."""
    desk = with_process
    await desk.box.specs()
    [pid] = starts(desk)
    await desk.boxes.close()
    assert not is_alive(pid)
    assert await desk.box.specs() == ()
    assert len(starts(desk)) == 1


async def test_a_server_that_cannot_start_leaves_the_other_tools(
    desk: Bench, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """No such program, one that ends at once, one that says nothing: the bot answers with what it has."""
    silent = [sys.executable, "-c", "import time; time.sleep(3600)"]
    ends = [sys.executable, "-c", "import sys; sys.exit('cannot read my configuration')"]
    desk.tool("gone", "mcp", command=["/no/such/program"])
    desk.tool("ends", "mcp", command=ends)
    desk.tool("time", "builtin")
    assert await desk.names() == ["time"]
    assert "No such file" in caplog.text
    assert "cannot read my configuration" in caplog.text
    desk.tool("silent", "mcp", command=silent)
    asking = asyncio.create_task(desk.names())
    session = await eventually(
        lambda: next((s for k, s in desk.boxes._parts.servers._sessions.items() if k.command == tuple(silent)), None)
    )
    await eventually(lambda: clock.waiting >= 2)
    await clock.advance(servers.WAIT_S)
    assert await asking == ["time"]
    assert session._link is None


async def test_no_secret_reaches_the_model(with_process: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A server that shows its environment: what the operator gave it is masked, what is botdeck's it never had."""
    desk = with_process
    caplog.set_level("DEBUG")
    desk.redactor.replace_known({SECRET})
    os.environ["OUTER"] = "outer-secret-value"
    try:
        told = await desk.call("leak")
    finally:
        del os.environ["OUTER"]
    assert told == "••••••"
    assert SECRET not in caplog.text + str([event.data() for event in desk.events()])


@pytest.mark.parametrize("before", [480, 490, 498])
async def test_no_half_of_a_secret_is_told_where_its_words_are_cut(
    desk: Bench, caplog: pytest.LogCaptureFixture, before: int
) -> None:
    """A long line on stderr is cleaned, then cut; what comes in pieces is put together first."""
    caplog.set_level("DEBUG")
    desk.redactor.replace_known({SECRET})
    wrote = f"import sys, time; e = sys.stderr; e.write('x' * {before} + {SECRET[:9]!r}); e.flush(); "
    desk.tool("ends", "mcp", command=[sys.executable, "-c", f"{wrote}time.sleep(0.1); sys.exit({SECRET[9:]!r})"])
    assert await desk.names() == []
    assert "it last said: xxx" in caplog.text
    assert SECRET[:7] not in caplog.text


HTTP_SERVER = f"""{MCP_SERVER.split("if __name__")[0]}
import socket, uvicorn
from starlette.responses import PlainTextResponse

app = server.streamable_http_app()

async def guarded(scope, receive, send):
    headers = dict(scope.get("headers") or ())
    if scope["type"] == "http" and headers.get(b"authorization") != b"Bearer {SECRET}":
        await PlainTextResponse("who are you?", status_code=401)(scope, receive, send)
    else:
        await app(scope, receive, send)

listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(("127.0.0.1", int(sys.argv[1])))
Path("port").write_text(str(listening.getsockname()[1]))
uvicorn.Server(uvicorn.Config(guarded, log_level="critical", lifespan="on")).run([listening])
"""


class HttpServer:
    """An MCP server over HTTP in a process of its own, that can be ended and started again on its port."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        (root / "http_server.py").write_text(HTTP_SERVER, encoding="utf-8")

    async def start(self) -> None:
        """Start it; it listens when this returns."""
        (self.root / "port").unlink(missing_ok=True)
        self.process = await anyio.open_process(
            [sys.executable, "http_server.py", str(self.port)], cwd=self.root, stdout=None, stderr=None
        )
        await eventually(lambda: (self.root / "port").exists() and (self.root / "port").read_text())
        self.port = int((self.root / "port").read_text())
        await eventually(self._answers)

    async def _answers(self) -> bool:
        try:
            await (await anyio.connect_tcp("127.0.0.1", self.port)).aclose()
        except OSError:
            return False
        return True

    async def end(self) -> None:
        """Kill it."""
        self.process.kill()
        await self.process.wait()


@pytest.fixture
async def over_http(tmp_path: Path) -> AsyncIterator[HttpServer]:
    server = HttpServer(tmp_path)
    await server.start()
    yield server
    await server.end()
    await server.process.aclose()


async def test_a_server_is_reached_over_http(
    desk: Bench, over_http: HttpServer, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """With the operator's headers; one that was away is found again, and no header is ever told."""
    caplog.set_level("DEBUG")
    desk.redactor.replace_known({SECRET})
    headers = {"Authorization": f"Bearer {SECRET}"}
    desk.tool("demo", "mcp", url=f"http://127.0.0.1:{over_http.port}/mcp", headers=headers, allow=["add"])
    assert await desk.names() == ["add"]
    assert (await desk.call("add", a=2, b=3)).startswith("5 by")
    await over_http.end()
    told = [await desk.call("add", a=2, b=3)]
    assert told[0].startswith("Error: ")
    await over_http.process.aclose()
    await over_http.start()

    async def again() -> bool:
        await clock.advance(61.0)
        told.append(await desk.call("add", a=2, b=3))
        return told[-1].startswith("5 by")

    await eventually(again)
    assert SECRET not in "\n".join([*told, caplog.text, str([event.data() for event in desk.events()])])


async def test_a_server_that_refuses_the_key_is_told(desk: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The bot goes on without its tools; the log says why."""
    server = Server()
    server.answer = _who_are_you  # type: ignore[method-assign]
    async with serving(server):
        desk.tool("demo", "mcp", url=f"{server.url}/mcp")
        assert await desk.names() == []
    assert server.asked
    assert "the MCP server demo is away and will be tried again" in caplog.text


async def _who_are_you(_: web.Request) -> web.Response:
    return web.Response(status=401, text="who are you?")


async def test_without_the_extra_the_operator_is_told_what_to_install(
    with_process: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, in one sentence."""
    monkeypatch.setitem(sys.modules, "mcp", None)
    for name in [name for name in sys.modules if name == "workers.tools.sessions" or name.startswith("mcp.")]:
        monkeypatch.delitem(sys.modules, name)
    assert await with_process.names() == []
    assert await with_process.names() == []
    assert sum(MISSING in record.message for record in caplog.records) == 1
    told = await with_process.box.call(ToolCall("1", "add", "{}"), with_process.context())
    assert told.startswith("Error: there is no tool")
