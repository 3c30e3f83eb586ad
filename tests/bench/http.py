"""The HTTP API: turns over it per core-second, how late they are at a steady rate, and a minute with bad requests among them.

`python -m tests.bench http`. The fleet is one process, the clients (`tests.bench.knocking`) another; both over loopback.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from tests.bench.fleets import ROOT, running
from tests.bench.measure import sample
from tests.bench.stage import Figures, Stage

RATE_PER_S = 200
BAD = 0.05
CLIENTS = 16
CONVERSATIONS = 50
"""So few that what is remembered of them is at its full length soon."""
WARM_S = 15.0
"""Until caches (that of the database's pages is the largest) are full: what grows after that is a leak."""
KIB_PER_MIN = 4096
"""What the resident set may gain over a minute, once warm: a leak of one request would be more."""
TASKS = 4
"""Tasks more or less than before: the fleet's own come and go."""


async def http(stage: Stage) -> Figures:
    """Measure what the API takes, and what a minute of good and bad requests leaves behind."""
    seconds, minute = (3.0, 10.0) if stage.quick else (10.0, 60.0)
    async with _serving(stage.folder()) as subject:
        await subject.knock("--seconds", "3", "--clients", str(CLIENTS))
        rounds = []
        for number in range(stage.rounds):
            stage.tell(f"  HTTP chat, round {number + 1}")
            rounds.append(await subject.cost(seconds))
        stage.tell(f"  {RATE_PER_S} requests a second")
        at_rate = ("--rate", str(RATE_PER_S), "--seconds", str(seconds))
        steady = [await subject.knock(*at_rate) for _ in range(stage.rounds)]
        stage.tell(f"  {minute:g} s with bad requests among them, {stage.rounds} times")
        mixed = await subject.mixed(minute, stage.rounds)
    return {
        "per_core_s": round(statistics.median(one["per_core_s"] for one in rounds)),
        "steady_p50_ms": statistics.median(one["p50_ms"] for one in steady),
        "steady_p99_ms": statistics.median(one["p99_ms"] for one in steady),
        "mixed": mixed,
    }


@dataclass(slots=True)
class Served:
    """A fleet that serves its API."""

    pid: int
    url: str
    report: Path

    async def knock(self, *options: str) -> dict[str, Any]:
        """Let clients ask; return what came of it."""
        command = [sys.executable, "-m", "tests.bench.knocking", self.url, *options]
        done = await anyio.run_process(command, cwd=ROOT, stderr=None)
        return dict(json.loads(done.stdout.splitlines()[-1]))

    async def cost(self, seconds: float) -> dict[str, float]:
        """Measure how many turns a core-second takes, all cores of the subject's added up."""
        before = sample(self.pid).cpu_s
        done = await self.knock("--seconds", str(seconds), "--clients", str(CLIENTS))
        turns = done["answers"].get("200", 0)
        return {"per_core_s": turns / (sample(self.pid).cpu_s - before), "per_s": done["per_s"]}

    async def mixed(self, seconds: float, rounds: int) -> Figures:
        """Ask as fast as it is answered, badly now and then; return what came of it and what was left.

        What fails and what is left is that of all rounds: a median would hide it. What memory gains is the median.
        """
        asked = ("--clients", str(CLIENTS), "--conversations", str(CONVERSATIONS))
        await self.knock("--seconds", str(WARM_S), "--bad", "0.5", *asked)
        looks, answers = [await self._look()], Counter[str]()
        for _ in range(rounds):
            answers.update((await self.knock("--seconds", str(seconds), "--bad", str(BAD), *asked))["answers"])
            looks.append(await self._look())
        return {
            "answers": dict(answers),
            "failed": answers["wrong"] + sum(n for status, n in answers.items() if status.split()[-1].startswith("5")),
            "tasks_left": looks[-1]["tasks"] - looks[0]["tasks"],
            "descriptors_left": looks[-1]["descriptors"] - looks[0]["descriptors"],
            "rss_gained_kib": statistics.median(b["rss_kib"] - a["rss_kib"] for a, b in pairwise(looks)),
        }

    async def _look(self) -> dict[str, int]:
        """Look at the fleet once its report was written anew, twice: what has just ended is gone then."""
        for _ in range(4):
            written = self.report.stat().st_mtime_ns
            while self.report.stat().st_mtime_ns == written:
                await anyio.sleep(0.05)
        seen = sample(self.pid)
        tasks = int(json.loads(self.report.read_text())["tasks"])
        return {"tasks": tasks, "descriptors": seen.descriptors, "rss_kib": seen.rss_kib}


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "bots").mkdir()
    (folder / "bots" / "echo.toml").write_text('channel = "none"\n[llm]\nprovider = "echo"\n')
    (folder / "fleet.toml").write_text(
        f'[api]\nlisten = "127.0.0.1:{port}"\nanonymous = "operate"\nrequests_per_min = 0\nmax_requests = 4096\n'
        '[log]\nlevel = "error"\n'
    )
    report, output = folder / "report.json", folder / "output"
    command = [sys.executable, "-m", "tests.soak.subject", str(folder), str(report)]
    with running(command, output=output, XDG_RUNTIME_DIR=str(folder)) as process:
        with anyio.fail_after(30):
            while not report.exists() or not _answers(port):
                await anyio.sleep(0.05)
                _still(process, output)
        yield Served(process.pid, f"http://127.0.0.1:{port}", report)


def _still(process: subprocess.Popen[bytes], output: Path) -> None:
    if process.poll() is not None:
        raise SystemExit(f"the subject ended early: {output.read_text(errors='replace')[-2000:]}")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
