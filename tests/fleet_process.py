"""A real `botdeck run --no-ui` in a process of its own, to be killed, signalled and started again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio

from tests import nursery
from tests.waiting import eventually

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
        self._rest = b""
        self.process: subprocess.Popen[bytes] | None = None

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
        self._rest = b""
        command = [*self.command, "--no-ui", "-C", str(self.root), *arguments]
        self.process = nursery.start(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    async def started(self, *arguments: str, **environment: str) -> None:
        """Start and wait for the ready line."""
        await self.start(*arguments, **environment)
        with anyio.fail_after(30):
            async for line in self._output():
                if line.startswith("ready"):
                    return
        raise AssertionError("the fleet ended before it was ready:\n" + "\n".join(self.lines))

    async def printed(self, text: str) -> None:
        """Wait until a line that holds a text has been printed."""
        if any(text in line for line in self.lines):
            return
        with anyio.fail_after(30):
            async for line in self._output():
                if text in line:
                    return
        raise AssertionError(f"the fleet ended without {text!r}:\n" + "\n".join(self.lines))

    async def _output(self) -> AsyncIterator[str]:
        assert self.process is not None
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        while True:
            await anyio.wait_readable(descriptor)
            chunk = os.read(descriptor, 65_536)
            if not chunk:
                return
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            lines = [line.decode() for line in whole]
            self.lines += lines
            for line in lines:
                yield line

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
            await eventually(lambda: self.process is None or self.process.poll() is not None)
        self._close()
        return int(self.process.returncode)

    def _close(self) -> None:
        """Leave no pipe to the garbage collector."""
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()


@asynccontextmanager
async def fleet_process(root: Path) -> AsyncIterator[FleetProcess]:
    """Give a fleet that is not started yet; whatever still runs at the end is killed."""
    fleet = FleetProcess(root)
    try:
        yield fleet
    finally:
        if fleet.process is not None and fleet.process.poll() is None:
            fleet.process.kill()
            fleet.process.wait()
        fleet._close()


def query(root: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Read the fleet's database as it stands."""
    with closing(sqlite3.connect(root / "botdeck.db")) as connection:
        return connection.execute(sql, parameters).fetchall()
