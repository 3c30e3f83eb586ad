"""A real `botdeck run --no-ui` in a process of its own, to be killed, signalled and started again."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process

ROOT = Path(__file__).resolve().parents[1]


def write_bot(root: Path, bot_id: str, token: str, base_url: str, **sections: Mapping[str, Any]) -> Path:
    """Write a bot file for the double at base_url; sections are laid over the plain echo bot."""
    import tomli_w

    data: dict[str, Any] = {
        "telegram": {"token": token, "base_url": base_url, "poll_timeout_s": 5},
        "llm": {"provider": "echo"},
    }
    for name, keys in sections.items():
        data.setdefault(name, {}).update(keys)
    path = root / "bots" / f"{bot_id}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(tomli_w.dumps(data))
    partial.replace(path)
    return path


class FleetProcess:
    """A fleet in a process. Output is collected; `ready` has been printed when `started` returns."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.command = [sys.executable, "-m", "console", "run"]
        self.lines: list[str] = []
        self.process: Process | None = None

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self.process is not None
        return self.process.pid

    async def start(self, *arguments: str, **environment: str) -> None:
        """Start `botdeck run --no-ui` without waiting."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("BOTDECK_")}
        env |= {"PYTHONUNBUFFERED": "1", "XDG_RUNTIME_DIR": str(self.root / "run"), **environment}
        (self.root / "run").mkdir(exist_ok=True)
        command = [*self.command, "--no-ui", "-C", str(self.root), *arguments]
        self.process = await anyio.open_process(command, cwd=ROOT, env=env, stderr=-2)

    async def started(self, *arguments: str, **environment: str) -> None:
        """Start and wait for the ready line."""
        await self.start(*arguments, **environment)
        assert self.process is not None
        assert self.process.stdout is not None
        with anyio.fail_after(30):
            async for line in self._output():
                if line.startswith("ready"):
                    return
        raise AssertionError("the fleet ended before it was ready:\n" + "\n".join(self.lines))

    async def _output(self) -> AsyncIterator[str]:
        assert self.process is not None
        assert self.process.stdout is not None
        rest = b""
        async for chunk in self.process.stdout:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                self.lines.append(line.decode())
                yield self.lines[-1]

    async def kill(self) -> None:
        """SIGKILL: no handler, no clean-up."""
        await self.end(signal.SIGKILL)

    async def end(self, with_signal: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit code."""
        assert self.process is not None
        self.process.send_signal(with_signal)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end; return the exit code."""
        assert self.process is not None
        with anyio.fail_after(40):
            async for _ in self._output():
                pass
            return await self.process.wait()


@asynccontextmanager
async def fleet_process(root: Path) -> AsyncIterator[FleetProcess]:
    """Give a fleet that is not started yet; whatever still runs at the end is killed."""
    fleet = FleetProcess(root)
    try:
        yield fleet
    finally:
        if fleet.process is not None and fleet.process.returncode is None:
            with anyio.CancelScope(shield=True):
                await fleet.kill()


def query(root: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Read the fleet's database as it stands."""
    with closing(sqlite3.connect(root / "botdeck.db")) as connection:
        return connection.execute(sql, parameters).fetchall()
