"""Good bots with steady work beside one bad one: a fleet in a process of its own, its double and its people here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import tomli_w

from config.vocabulary import Phase
from console.attach import RemoteControl, connect
from console.control import Action
from console.place import find
from console.sandbox.bots import Line, SandboxBot
from console.sandbox.server import Sandbox
from tests.bench.fleets import running
from tests.bench.measure import sample
from tests.neighbours.swelling import swelling
from tests.waiting import eventually

BAD = "bad"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a good bot's person: when it was said and when its answer was seen, seconds of one clock.

    overtaken: how many answers of the bad bot were seen in between.
    """

    at: float
    seen: float
    overtaken: int


@dataclass(slots=True)
class Window:
    """What was measured while people wrote for some time. rss_kib is the most the process had."""

    said: list[Said] = field(default_factory=list)
    unanswered: int = 0
    rss_kib: int = 0

    def latencies_ms(self, without: list[tuple[float, float]] | None = None) -> list[float]:
        """Return the waits, shortest first; those of messages said within one of the spans left out."""
        spans = without or []
        return sorted((one.seen - one.at) * 1000 for one in self.said if not any(a <= one.at <= b for a, b in spans))


class Street:
    """A running fleet of good bots (`good00`, …) and one bad one."""

    def __init__(self, sandbox: Sandbox, process: subprocess.Popen[bytes], control: RemoteControl) -> None:
        self.sandbox = sandbox
        self.process = process
        self.control = control
        everybody = list(sandbox.bots.values())
        self.good, self.bad = everybody[:-1], everybody[-1]
        self._open: dict[tuple[int, str], tuple[float, int]] = {}
        self._window = Window()
        self._number = 0
        for bot in self.good:
            bot.listeners.append(self._hear)

    def _hear(self, bot: SandboxBot, line: Line) -> None:
        said = self._open.pop((bot.id, line.text), None) if line.by_bot else None
        if said is not None:
            at, others = said
            self._window.said.append(Said(at, time.perf_counter(), self.bad.sent_count - others))

    async def talk(self, seconds: float, rate_per_s: float) -> Window:
        """Let people write to the good bots at an even pace; wait for the last answers."""
        window = self._window = Window()
        began = time.perf_counter()
        for count in range(int(seconds * rate_per_s)):
            await anyio.sleep(max(0.0, began + count / rate_per_s - time.perf_counter()))
            self._say()
            if count % 10 == 0:
                window.rss_kib = max(window.rss_kib, sample(self.process.pid).rss_kib)
        with anyio.move_on_after(20):
            while self._open:
                await anyio.sleep(0.01)
        window.unanswered = len(self._open)
        self._open.clear()
        return window

    def _say(self) -> None:
        self._number += 1
        bot, text = self.good[self._number % len(self.good)], f"message {self._number}"
        self._open[bot.id, text] = time.perf_counter(), self.bad.sent_count
        bot.say(1 + self._number % 7, text)

    async def start_bad(self) -> None:
        """Let the bad bot run, whatever is held against it."""
        await self.control.steer(Action.START, [BAD], actor="street", reason="a disturbed window")
        await self._until(lambda phase: phase is not Phase.STOPPED)

    async def stop_bad(self) -> None:
        """Let nothing of the bad bot run; what it has not answered waits."""
        await self.control.steer(Action.STOP, [BAD], actor="street", reason="a quiet window")
        await self._until(lambda phase: phase is Phase.STOPPED)

    async def _until(self, right: Callable[[Phase], bool]) -> None:
        async def there() -> bool:
            return right(Phase((await self.control.bot(BAD))["phase"]))

        await eventually(there, within_s=60)

    async def others(self) -> dict[str, tuple[int, str]]:
        """Return restarts and phase of the good bots."""
        rows = (await self.control.status())["bots"]
        return {row["bot_id"]: (row["restarts"], row["phase"]) for row in rows if row["bot_id"] != BAD}


@asynccontextmanager
async def street(bots: int, bad: Mapping[str, Any]) -> AsyncIterator[Street]:
    """A fleet of so many good bots and a bad one, whose file is laid over a plain echo bot's.

    In it "{swelling}" is the address of a model whose answers are as long as it pleases.
    """
    async with Sandbox(keep_sent=0) as double:
        with tempfile.TemporaryDirectory(prefix="botdeck-neighbours-") as made, swelling() as model:
            folder = Path(made)
            _write(folder, double, bots, bad, model)
            command = [sys.executable, "-m", "tests.neighbours.subject", str(folder)]
            with running(command, output=folder / "output", XDG_RUNTIME_DIR=made) as process:
                everybody = list(double.bots.values())
                await eventually(lambda: all(b.calls["getMe"] for b in everybody) and _alive(process), within_s=60)
                await eventually(lambda: all(b.told.has_polled for b in everybody[:-1]), within_s=60)
                os.environ["XDG_RUNTIME_DIR"] = made
                yield Street(double, process, await connect(find(folder, None)))
                process.kill()  # a model that never answers would hold the drain for its 20 s


def _alive(process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the fleet ended by itself"
    return True


def _write(folder: Path, double: Sandbox, bots: int, bad: Mapping[str, Any], model: str) -> None:
    (folder / "bots").mkdir()
    (folder / "fleet.toml").write_text("[start]\nrate_per_s = 0\nmax_starting = 1000\n")
    for name in [*(f"good{number:02}" for number in range(bots)), BAD]:
        telegram = {"token": double.add_bot().token, "base_url": double.base_url, "poll_timeout_s": 10}
        data: dict[str, Any] = {"telegram": telegram, "llm": {"provider": "echo"}}
        for section, keys in (bad if name == BAD else {}).items():
            data[section] = data.get(section, {}) | keys
        text = tomli_w.dumps(data).replace("{swelling}", model)
        (folder / "bots" / f"{name}.toml").write_text(text)
