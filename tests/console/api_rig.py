"""A fleet that serves its API over TCP, and somebody who asks it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from console.runtime import Fleet, open_fleet
from tests.waiting import eventually


def free_port() -> int:
    """Return a port of this machine nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Answer:
    """What came back: status, headers by lower-case name, and the JSON (or text) of it."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Api:
    """A fleet and its API."""

    fleet: Fleet
    port: int
    session: aiohttp.ClientSession
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def key(self, scope: str, client_id: str | None = None) -> str:
        """Return a key of this scope, made when it is first asked for."""
        name = f"{scope}-{client_id or 'all'}"
        if name not in self.keys:
            made = await self.fleet.control.key_add(name, scope, client_id=client_id, actor="test")
            self.keys[name] = made["key"]
        return self.keys[name]

    async def ask(self, method: str, path: str, *, key: str = "", **more: Any) -> Answer:
        """Send one request; key is the key itself."""
        headers = dict(more.pop("headers", {}))
        if key:
            headers["Authorization"] = f"Bearer {key}"
        async with self.session.request(method, self.url + path, headers=headers, **more) as answer:
            text = await answer.text()
            body = json.loads(text) if answer.content_type == "application/json" else text
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, body)

    async def configure(self, **settings: Any) -> None:
        """Write [api] anew and have it read."""
        write_fleet(self.fleet.place.root, **{"listen": f"127.0.0.1:{self.port}", **settings})
        await self.fleet.control.reload(actor="test")


def write_fleet(root: Path, **settings: Any) -> None:
    """Write a fleet.toml with an [api] of these keys."""
    lines = (f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    (root / "fleet.toml").write_text("[api]\n" + "".join(lines))


@asynccontextmanager
async def serving(root: Path, **settings: Any) -> AsyncIterator[Api]:
    """Run a fleet of one bot, `echo`, that answers programs alone, and its API."""
    (root / "bots").mkdir(parents=True, exist_ok=True)
    (root / "bots" / "echo.toml").write_text('channel = "none"\n[llm]\nprovider = "echo"\n')
    port = free_port()
    write_fleet(root, **{"listen": f"127.0.0.1:{port}", **settings})
    async with open_fleet(root, quiet=True) as fleet, aiohttp.ClientSession() as session:
        api = Api(fleet, port, session)
        await eventually(lambda: fleet.listener is not None and fleet.listener.served)
        yield api
