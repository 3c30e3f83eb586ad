"""Where a secret could show: one line each, name → what can be read there."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from config.errors import FleetError
from console.control import Action, EventQuery, LogQuery
from tests.secrets import screens, web
from tests.secrets.house import House

Read = Callable[[House], Awaitable[bytes]]
SHOWN: Final = ("code-spelled", "model-login", "unauthorized")
"""Bots that are looked at one by one."""
AWAY: Final = ("model-quotes", "code-away")
"""Bots whose model stays away, asked once more while they are looked at."""


def _file(name: str) -> Read:
    async def read(house: House) -> bytes:
        return (house.root / name).read_bytes()

    return read


def _cli(*arguments: str) -> Read:
    async def read(house: House) -> bytes:
        return await house.cli(*arguments)

    return read


def _each(*arguments: str) -> Read:
    async def read(house: House) -> bytes:
        return b"".join([await house.cli(*arguments, name) for name in SHOWN])

    return read


async def _output(house: House) -> bytes:
    return house.output()


async def _notices(house: House) -> bytes:
    return house.take_notices()


async def _process(house: House) -> bytes:
    """The command line, the name and the names of the threads."""
    process = Path("/proc") / str(house.fleet.pid)
    return b"\n".join(p.read_bytes() for p in [process / "cmdline", *process.glob("task/*/comm")])


async def _control(house: House) -> bytes:
    """Every answer of the control socket, refusals included."""
    control = await house.control()
    calls: list[Callable[[], Awaitable[Any]]] = [
        control.info,
        control.status,
        control.check,
        lambda: control.reload(actor="test"),
        lambda: control.logs(LogQuery(tail=100_000)),
        lambda: control.events(EventQuery(tail=100_000)),
        lambda: control.steer(Action.RESET, ["unauthorized", "nobody"], actor="test", reason="to see"),
        lambda: control.backup(house.root / "nowhere" / "x"),
        lambda: control.export_bot("nobody", house.root / "nowhere" / "x"),
        lambda: control.import_bot(house.root / "bots" / "credentials.toml", None, actor="test"),
    ]
    for name in house.bots:
        calls += [lambda name=name: control.bot(name), lambda name=name: control.config_show(name)]
    return b"\n".join([await _answer(call) for call in calls])


async def _answer(call: Callable[[], Awaitable[Any]]) -> bytes:
    try:
        return json.dumps(await call(), ensure_ascii=False).encode()
    except FleetError as error:
        return f"{error!r} {error} {error.hint}".encode()


async def _web(house: House) -> bytes:
    return await web.shown(house, (*AWAY, "model-in-place", "tool-quotes", "code-crash", *SHOWN))


async def _screens(house: House) -> bytes:
    return await screens.shown(house, ("model-quotes",), "answered 401")


async def _watch(house: House) -> bytes:
    return b"".join([await house.interrupted("watch"), await house.interrupted("watch", "--json")])


async def _say(house: House) -> bytes:
    asked = [
        ("model-quotes", "hello"),
        ("code-away", "hello", "--json"),
        ("tool-quotes", "go look {}"),
        ("code-crash", "go"),
    ]
    return b"".join([await house.cli("say", *words) for words in asked])


ALIVE: Final[dict[str, Read]] = {
    "stdout and stderr": _output,
    "notices to the service manager": _notices,
    "process title and threads": _process,
    "control socket": _control,
    "database": _file("botdeck.db"),
    "write-ahead log": _file("botdeck.db-wal"),
    "wal index": _file("botdeck.db-shm"),
    "lock": _file("botdeck.db.lock"),
    "status": _cli("status"),
    "status --json": _cli("status", "--json"),
    "bot list": _cli("bot", "list"),
    "bot info": _each("bot", "info"),
    "bot info --json": _each("bot", "info", "--json"),
    "config show": _each("config", "show", "--origin"),
    "config show --json": _each("config", "show", "--json"),
    "key list": _cli("key", "list", "--all"),
    "key list --json": _cli("key", "list", "--all", "--json"),
    "check": _cli("check"),
    "check --json": _cli("check", "--json"),
    "events": _cli("events", "--tail", "10000"),
    "events --json": _cli("events", "--tail", "10000", "--json"),
    "logs": _cli("logs", "--tail", "100000"),
    "logs --json": _cli("logs", "--tail", "100000", "--json"),
    "doctor": _cli("doctor", "--no-network"),
    "doctor --json": _cli("doctor", "--json"),
    "reload": _cli("reload"),
    "reload --json": _cli("reload", "--json"),
    "usage": _cli("usage", "--by", "model", "--json"),
    "conversations": _cli("conversations", "tool-quotes"),
    "a conversation": _cli("conversations", "tool-quotes", "5"),
    "profile": _cli("profile", "model-quotes", "5"),
    "access": _cli("access", "model-quotes", "--json"),
    "say": _say,
    "watch": _watch,
    "HTTP API": _web,
    "console": _screens,
}
"""Sinks of a fleet that runs."""

COPIES: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "backup": (("backup", "{out}/out-backup.db"), "out-backup.db"),
    **{f"export of {name}": (("bot", "export", name, f"{{out}}/out-{name}"), f"out-{name}") for name in SHOWN},
}
"""Copies: the command that makes one, and the file."""

LEFT: Final[dict[str, Read]] = {
    "what a killed fleet printed": _output,
    "its database": _file("botdeck.db"),
    "its write-ahead log": _file("botdeck.db-wal"),
    "status without a fleet": _cli("status", "--json"),
    "logs without a fleet": _cli("logs", "--tail", "100000"),
    "events without a fleet": _cli("events", "--tail", "10000"),
    "config show without a fleet": _each("config", "show"),
}
"""Sinks of a fleet that was killed."""

DAMAGED: Final[dict[str, Read]] = {
    "what it printed": _output,
    "status of it": _cli("status", "--json"),
    "doctor of it": _cli("doctor", "--no-network"),
}
"""Sinks of a fleet whose database is damaged."""
