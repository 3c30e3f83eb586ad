"""The fleet's folder, its process, and the double it polls, for the length of a soak."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import tomli_w

from console.attach import RemoteControl, connect
from console.place import find
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.waiting import eventually

ROOT: Final = Path(__file__).resolve().parents[2]
RETENTION_DAYS: Final = 1
ENOUGH_S: Final = 60.0


@dataclass(slots=True)
class Household:
    """A folder with a fleet, polling a double in this process. rows_per_bot bounds its journals."""

    folder: Path
    double: Sandbox
    rows_per_bot: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """The fleet's folder."""
        return self.folder / "fleet"

    @property
    def database(self) -> Path:
        """The database."""
        return self.root / "botdeck.db"

    @property
    def report(self) -> Path:
        """Where the process tells of itself."""
        return self.folder / "report.json"

    @property
    def output(self) -> str:
        """What the process has printed."""
        return (self.folder / "output").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        """What botdeck is started with: nothing of the developer's own fleet."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BOTDECK_") and k != "NOTIFY_SOCKET"}
        return kept | {"XDG_RUNTIME_DIR": str(self.folder / "r")}

    def settle_in(self, bots: int) -> None:
        """Write the fleet's files."""
        (self.root / "bots").mkdir(parents=True)
        (self.folder / "r").mkdir(mode=0o700)
        self.write_fleet(name="soak")
        for number in range(bots):
            bot = self.double.add_bot(username=f"bot{number:02}")
            self.write_bot(bot)

    def write_fleet(self, *, name: str) -> None:
        """Write fleet.toml."""
        days = dict.fromkeys(("updates", "outbox", "messages", "events", "logs", "metrics", "usage"), RETENTION_DAYS)
        data = {
            "fleet": {"name": name},
            "start": {"rate_per_s": 0},
            "retention": {f"{table}_days": count for table, count in days.items()}
            | {"rows_per_bot": self.rows_per_bot},
            "defaults": {
                "telegram": {"base_url": self.double.base_url, "poll_timeout_s": 3},
                "llm": {"provider": "echo"},
            },
        }
        (self.root / "fleet.toml").write_text(tomli_w.dumps(data))

    def write_bot(self, bot: SandboxBot, **sections: dict[str, Any]) -> None:
        """Write a bot's file, at once as an editor that renames does."""
        path = self.bot_file(bot)
        partial = path.with_suffix(".partial")
        partial.write_text(tomli_w.dumps({**sections, "telegram": {"token": bot.token} | sections.get("telegram", {})}))
        partial.replace(path)

    def bot_file(self, bot: SandboxBot) -> Path:
        """The file of a bot."""
        return self.root / "bots" / f"{bot.username}.toml"

    async def start(self) -> RemoteControl:
        """Run the fleet until every bot polls; return a control of it."""
        command = [sys.executable, "-m", "tests.soak.subject", str(self.root), str(self.report)]
        before = {bot.id: bot.calls["getUpdates"] for bot in self.double.bots.values()}
        with (self.folder / "output").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        everybody = list(self.double.bots.values())
        await eventually(
            lambda: all(bot.calls["getUpdates"] > before[bot.id] + 1 for bot in everybody), within_s=ENOUGH_S
        )
        os.environ["XDG_RUNTIME_DIR"] = str(self.folder / "r")
        return await connect(find(self.root, None))

    async def stop(self) -> int:
        """Stop the fleet as a service manager does; return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return await anyio.to_thread.run_sync(self.process.wait, ENOUGH_S)


@asynccontextmanager
async def household(folder: Path, *, bots: int, rows_per_bot: int) -> AsyncIterator[Household]:
    """Give a household that is not started yet; what still runs at the end is killed."""
    async with Sandbox(keep_sent=50) as double:
        home = Household(folder, double, rows_per_bot)
        home.settle_in(bots)
        try:
            yield home
        finally:
            if home.process is not None and home.process.poll() is None:
                home.process.kill()
                home.process.wait()
