"""A real fleet whose every secret is planted, before a double and servers that quote what they are sent."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import tomli_w
from aiohttp import web

from console.attach import RemoteControl, connect
from console.place import find
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests import nursery
from tests.console.api_rig import free_port
from tests.fleet_process import ROOT, FleetProcess, fleet_process
from tests.network.certificates import ELSEWHERE, serving
from tests.secrets.plants import Plants, spellings
from tests.secrets.scenarios import SCENARIOS, WAYS, Scenario
from tests.workers.telegram_rig import canned_server

SUBJECT: Final = [sys.executable, "-m", "tests.secrets.subject"]


class House:
    """The fleet, its folder, its secrets, and whoever it speaks to."""

    def __init__(self, root: Path, sandbox: Sandbox, fleet: FleetProcess, addresses: dict[str, str]) -> None:
        self.root = root
        self.sandbox = sandbox
        self.fleet = fleet
        self.plants = Plants()
        self.bots: dict[str, SandboxBot] = {}
        self.environment: dict[str, str] = {"XDG_RUNTIME_DIR": str(root / "run")}
        self.notices = b""
        self.key = ""
        """A key that may do everything, once there is one."""
        self._dotenv: list[str] = []
        self._addresses = addresses
        self.api = f"127.0.0.1:{free_port()}"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(root / "notify"))
        self._notify.setblocking(False)
        self.environment["NOTIFY_SOCKET"] = str(root / "notify")

    # --- files -------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the folder: a bot for each scenario."""
        for folder in ("bots", "keys"):
            (self.root / folder).mkdir()
        fleet_key = self.plants.key("fleet")
        self.environment["FLEET_KEY"] = fleet_key
        (self.root / "fleet.toml").write_text(
            f'[api]\nlisten = "{self.api}"\n[log]\nlevel = "debug"\n[start]\nrate_per_s = 0\n'
            '[defaults.llm.options]\nsecret = "${FLEET_KEY}"\n'
        )
        for number, (name, scenario) in enumerate(SCENARIOS.items()):
            self._write_bot(number, name, scenario)
        (self.root / ".env").write_text("\n".join(self._dotenv) + "\n")

    def _write_bot(self, number: int, name: str, scenario: Scenario) -> None:
        token = self.plants.token(f"{name} token", 7_000_000 + number)
        bot = self.bots[name] = self.sandbox.add_bot(token)
        way = scenario.way or WAYS[number % len(WAYS)]
        key = self.plants.key(f"{name} key", "sk-{}" if number % 2 else '{}"é/+')
        password = self.plants.key(f"{name} password")
        data: dict[str, Any] = {
            "telegram": {"token": self._given(f"{name}_TOKEN", token, WAYS[(number + 1) % 5]), "poll_timeout_s": 5},
            "llm": {"provider": "echo", "model": "m", "timeout_s": 5.0, "options": {"password": password}},
        }
        data["telegram"]["base_url"] = self.sandbox.base_url
        data["llm"]["api_key"] = self._given(f"{name}_KEY", key, way if scenario.llm.get("provider") is None else "env")
        words = Words(self.plants, name, {**self._addresses, "password": password})
        llm = words.put_into(scenario.llm)
        data["llm"] |= llm | {"options": data["llm"]["options"] | llm.get("options", {})}
        data["telegram"] |= words.put_into(scenario.telegram)
        if scenario.tools:
            data["tools"] = words.put_into(list(scenario.tools))
        (self.root / "bots" / f"{name}.toml").write_text(tomli_w.dumps(data))
        if scenario.prepare is not None:
            scenario.prepare(bot, self.plants.known["fleet"])

    def _given(self, name: str, secret: str, way: str) -> str:
        """Return what the bot file says for a secret that comes in one of WAYS."""
        variable, file = name.upper().replace("-", "_"), f"keys/{name.lower()}"
        if way == "env":
            self.environment[variable] = secret
        elif way == "dotenv":
            self._dotenv.append(f"{variable}={shlex.quote(secret)}")
        elif way in {"file", "cmd", "multiline"}:
            above = "first line of it\n" if way == "multiline" else ""
            (self.root / file).write_text(above + secret + "\n")
        return {
            "literal": secret,
            "env": f"${{{variable}}}",
            "dotenv": f"${{{variable}}}",
            "cmd": f"cmd:cat {file}",
        }.get(way, f"file:{file}")

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self, *arguments: str) -> None:
        """Run the fleet until it is ready; its output is collected from now on."""
        await self.fleet.started(*arguments, **self.environment)

    async def control(self) -> RemoteControl:
        """Speak to the fleet as the command line does."""
        os.environ["XDG_RUNTIME_DIR"] = self.environment["XDG_RUNTIME_DIR"]
        return await connect(find(self.root, None))

    async def cli(self, *arguments: str) -> bytes:
        """Type a command; return all it printed."""
        command, how = self._typed(*arguments)
        done = await anyio.to_thread.run_sync(lambda: nursery.run(command, timeout_s=60, **how))
        return bytes(done.stdout)

    async def interrupted(self, *arguments: str) -> bytes:
        """Type a command that never ends, and end it after its first output; return all it printed."""
        command, how = self._typed(*arguments)
        shown = b""
        with nursery.start(command, stdout=subprocess.PIPE, **how) as process:
            while not shown.endswith(b"\n"):
                piece = await anyio.to_thread.run_sync(process.stdout.read1)
                assert piece, f"{arguments} ended by itself: {shown!r}"
                shown += piece
            process.terminate()  # not SIGINT, which a suite run in the background ignores
            rest, _ = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=30))
        return shown + bytes(rest)

    def _typed(self, *arguments: str) -> tuple[list[str], dict[str, Any]]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("BOTDECK_")} | self.environment
        how = {"cwd": ROOT, "env": env, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        return [*SUBJECT, *arguments, "-C", str(self.root)], how

    def take_notices(self) -> bytes:
        """Return all the service manager has been told."""
        while True:
            try:
                self.notices += self._notify.recv(65536) + b"\n"
            except BlockingIOError:
                return self.notices

    def close(self) -> None:
        """Listen no longer."""
        self._notify.close()

    def output(self) -> bytes:
        """Return what the fleet printed, in all its lives."""
        return "\n".join(self.fleet.lines).encode()

    def modes(self) -> dict[str, int]:
        """Return file → permission bits of everything the fleet made."""
        made = [*self.root.glob("botdeck.db*"), *self.root.glob("out*"), *(self.root / "run").rglob("*")]
        return {str(p.relative_to(self.root)): stat.S_IMODE(p.lstat().st_mode) for p in made if not p.is_dir()}


class Words(dict[str, str]):
    """What names in a bot's file stand for: what is known, and for any other a secret planted there and then."""

    def __init__(self, plants: Plants, bot_id: str, known: dict[str, str]) -> None:
        super().__init__(known)
        self._plants = plants
        self._bot_id = bot_id

    def __missing__(self, name: str) -> str:
        self[name] = self._plants.key(f"{self._bot_id} {name}")
        return self[name]

    def put_into(self, value: Any) -> Any:
        """Return a value with its names replaced, however deep they stand."""
        if isinstance(value, dict):
            return {key: self.put_into(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.put_into(part) for part in value]
        return value.format_map(self) if isinstance(value, str) else value


async def quoting(request: web.Request) -> web.Response:
    """Refuse a request, quoting all of it: its body first, at /headers its headers, at /after/N behind so many letters."""
    after = re.search(r"/after/(\d+)", request.path)
    body, key = await request.text(), request.headers.get("Authorization", "-")[7:]
    parts = [body, str(dict(request.headers)), str(request.url), spellings(key)]
    if "/headers" in request.path:
        parts[:2] = parts[1::-1]
    said = ("x" * int(after[1]) if after else "") + " ".join(parts)
    return web.Response(status=401, text=json.dumps({"error": {"message": said}}), content_type="application/json")


@asynccontextmanager
async def house(root: Path) -> AsyncIterator[House]:
    """A written folder and all it speaks to; the fleet is not started yet."""

    async with (
        Sandbox() as sandbox,
        canned_server(quoting) as echoing,
        canned_server(quoting, serving(ELSEWHERE, root)) as tls,
        fleet_process(root) as fleet,
    ):
        fleet.command = [*SUBJECT, "run"]
        addresses = {"echoing": echoing, "tls": tls, "echoing_host": echoing.partition("//")[2]}
        made = House(root, sandbox, fleet, addresses)
        made.write()
        try:
            yield made
        finally:
            made.close()
