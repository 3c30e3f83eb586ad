"""The fleet under test: its folder, and the process that is ended and started again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from signal import Signals
from typing import Any, Final

import tomli_w

from console.sandbox.server import Sandbox
from tests import nursery
from tests.chaos.words import APOLOGY
from tests.waiting import eventually

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 40.0
"""The longest a process may take to end; botdeck itself promises 28 s."""


class Subject:
    """A folder with a fleet in it. Each life of it writes its output into a file of its own in `logs`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "fleet"
        self.logs = folder / "logs"
        self.runtime = folder / "r"
        for place in (self.root / "bots", self.logs, self.runtime):
            place.mkdir(parents=True, exist_ok=True)
        self.runtime.chmod(0o700)
        self.process: subprocess.Popen[bytes] | None = None
        self.lives = 0

    # --- files -------------------------------------------------------------------------------------------------

    def write_fleet(self, double: Sandbox) -> None:
        """Write fleet.toml and a file for each bot of the double."""
        self.fleet_toml.write_text('[fleet]\nname = "chaos"\n')
        for bot in double.bots.values():
            self.write_bot(bot.username, bot_data(double, bot.token))

    def write_bot(self, name: str, data: dict[str, Any]) -> None:
        """Write one bot file at once, as an editor that renames does."""
        path = self.bot_toml(name)
        partial = path.with_suffix(".partial")
        partial.write_text(tomli_w.dumps(data))
        partial.replace(path)

    @property
    def fleet_toml(self) -> Path:
        """The fleet's own file."""
        return self.root / "fleet.toml"

    def bot_toml(self, name: str) -> Path:
        """The file of one bot."""
        return self.root / "bots" / f"{name}.toml"

    @property
    def database(self) -> Path:
        """The database."""
        return self.root / "botdeck.db"

    # --- the process -------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What botdeck is started with: nothing of the developer's own fleet."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BOTDECK_") and k != "NOTIFY_SOCKET"}
        return kept | {"PYTHONUNBUFFERED": "1", "XDG_RUNTIME_DIR": str(self.runtime)}

    async def start(self) -> None:
        """Start `botdeck run --no-ui`, without waiting for anything."""
        self.lives += 1
        command = [sys.executable, "-m", "console", "run", "--no-ui", "-C", str(self.root)]
        with (self.logs / f"{self.lives:03}.log").open("wb") as log:
            self.process = nursery.start(
                command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def output(self) -> str:
        """What the latest life has printed."""
        return (self.logs / f"{self.lives:03}.log").read_text(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether the process has ended, by itself or not."""
        return self.process is None or self.process.poll() is not None

    async def end(self, number: Signals) -> int:
        """Send a signal and wait for the end; return the exit code. Raises AssertionError when it does not."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return await self.wait()

    async def wait(self) -> int:
        """Wait for the end; return the exit code. Raises AssertionError when it does not come."""
        process = self.process
        assert process is not None
        await eventually(lambda: process.poll() is not None, within_s=PATIENCE_S)
        return int(process.returncode)

    async def abandon(self) -> None:
        """Kill what still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def bot_data(double: Sandbox, token: str, **sections: dict[str, Any]) -> dict[str, Any]:
    """Return a bot's file: the double's addresses, short polls, sections laid over it."""
    data: dict[str, Any] = {
        "telegram": {"token": token, "base_url": double.base_url, "poll_timeout_s": 5},
        "llm": {"provider": "openai", "model": "double", "base_url": double.model_url, "api_key": "sk-chaos"},
        "reply": {"error_text": APOLOGY},
    }
    for name, keys in sections.items():
        data[name] = data.get(name, {}) | keys
    return data
