"""Where the figures are taken: a double in this process, one subject at a time in another."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from console.sandbox.server import Sandbox
from tests.bench.fleets import botdeck, peer, running, token_of, write_fleet

Figures = dict[str, Any]

SETTLE_S = 10.0
"""What follows a start once, such as publishing a thousand lists of commands, is over by then."""


@dataclass(slots=True)
class Stage:
    """Sizes of one run, and the folder everything is made in."""

    quick: bool = False
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="botdeck-figures-")))

    @property
    def bots(self) -> int:
        """Bots of a large fleet."""
        return 200 if self.quick else 1000

    @property
    def rounds(self) -> int:
        """Rounds a median is taken of."""
        return 1 if self.quick else 3

    def folder(self) -> Path:
        """Return an empty folder."""
        return Path(tempfile.mkdtemp(dir=self.scratch))

    def tell(self, text: str) -> None:
        """Say what is being measured."""
        print(text, flush=True)

    @asynccontextmanager
    async def subject(
        self, name: str, bots: int, folder: Path | None = None, *, poll_s: int = 10
    ) -> AsyncIterator[Subject]:
        """Run a subject until the block is left, every bot of it polling when the block begins."""
        folder = folder or self.folder()
        async with Sandbox(keep_sent=0) as double:
            for number in range(bots):
                double.add_bot(token_of(number))
            command = command_of(name, double, bots, folder, poll_s=poll_s)
            began = anyio.current_time()
            with running(command, output=folder / "output", XDG_RUNTIME_DIR=str(folder)) as process:
                subject = Subject(process, double, folder)
                await subject.until(lambda: all(b.calls["getUpdates"] > 0 for b in double.bots.values()))
                subject.polling_s = anyio.current_time() - began
                yield subject


@dataclass(slots=True)
class Subject:
    """A running subject. polling_s: from its start until all its bots polled."""

    process: subprocess.Popen[bytes]
    double: Sandbox
    folder: Path
    polling_s: float = 0.0

    async def until(self, condition: Callable[[], bool], limit_s: float = 600) -> None:
        """Wait for a condition; ends the run when the subject ends before."""
        with anyio.fail_after(limit_s):
            while not condition():
                if self.process.poll() is not None:
                    output = (self.folder / "output").read_text(errors="replace")[-2000:]
                    raise SystemExit(f"the subject ended early with code {self.process.returncode}: {output}")
                await anyio.sleep(0.01)

    async def control(self) -> Any:
        """Return a control of the fleet."""
        from console.attach import connect
        from console.place import find

        os.environ["XDG_RUNTIME_DIR"] = str(self.folder)
        return await connect(find(self.folder, None))

    async def stop_s(self) -> float:
        """Stop the subject; return how long that took."""
        began = anyio.current_time()
        self.process.terminate()
        await anyio.to_thread.run_sync(self.process.wait)
        return anyio.current_time() - began


def command_of(name: str, double: Sandbox, bots: int, folder: Path, *, poll_s: int) -> list[str]:
    """Return the command that runs a subject for the double's bots, its files written."""
    if name == "botdeck":
        write_fleet(folder, double.base_url, bots, poll_s=poll_s)
        return botdeck(folder)
    return peer(name, double.base_url, bots, folder / "tokens.json", poll_s=poll_s)


def percentile(values: list[float], share: float) -> float:
    """Return a percentile, share in 0..1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
