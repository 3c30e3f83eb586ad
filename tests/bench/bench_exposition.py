"""What a scrape of /metrics costs a fleet, and how long it holds the loop.

`python -m tests.bench.bench_exposition [--bots N] [--times N]`

A fleet of bots without a channel in this process, each with turns, tokens and times counted; pages are made and thrown away.
Given are the milliseconds of CPU and of the clock a scrape takes, and the longest time between two turns of the loop in one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from config.vocabulary import Phase
from console.runtime import Fleet, open_fleet
from store.usage import Tokens
from tests.bench.bench_console import write_fleet
from tests.waiting import eventually


def busy(fleet: Fleet) -> None:
    """Let every bot have done something of everything."""
    for bot_id in fleet.pool.bot_ids():
        for name in ("messages", "replies", "errors", "tool_errors"):
            fleet.metrics.count(bot_id, name, 3)
        fleet.metrics.spend(bot_id, Tokens("echo", "echo", 100, 50))
        for name in ("turn_s", "model_s"):
            for number in range(64):
                fleet.metrics.observe(bot_id, name, 0.1 + number / 100)


async def ticking(gaps: list[float]) -> None:
    """Note how long the loop did not turn."""
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now


async def scrape(fleet: Fleet) -> tuple[int, int]:
    """Make every page; return bytes and series."""
    size = series = 0
    async for page in fleet.api.measures():
        size += len(page)
        series += page.count(b"\n") - 2
    return size, series


async def measure(bots: int, times: int) -> dict[str, Any]:
    """Run a fleet and scrape it."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        root = Path(folder) / "fleet"
        write_fleet(root, bots)
        async with open_fleet(root, serve=False, quiet=True) as fleet:
            await eventually(lambda: fleet.pool.phases().get(Phase.RUNNING, 0) == bots, within_s=300)
            busy(fleet)
            size, series = await scrape(fleet)
            cpu, wall = [], []
            for _ in range(times):
                began, used = time.perf_counter(), time.thread_time()
                await scrape(fleet)
                wall.append((time.perf_counter() - began) * 1000)
                cpu.append((time.thread_time() - used) * 1000)
            gaps: list[float] = []
            ticks = asyncio.ensure_future(ticking(gaps))
            for _ in range(times):
                await scrape(fleet)
            ticks.cancel()
    return {
        "bots": bots,
        "series": series,
        "kilobytes": size // 1024,
        "cpu_ms": {"median": round(sorted(cpu)[times // 2], 1), "worst": round(max(cpu), 1)},
        "wall_ms": {"median": round(sorted(wall)[times // 2], 1), "worst": round(max(wall), 1)},
        "loop_held_ms": {
            "p99": round(sorted(gaps)[int(len(gaps) * 0.99)] * 1000, 2),
            "worst": round(max(gaps) * 1000, 2),
        },
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_exposition")
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    print(json.dumps(uvloop.run(measure(asked.bots, asked.times)), indent=2))


if __name__ == "__main__":
    main()
