"""What a program pays for bots it registers: putting them down, having them made, looking them up.

The figures are taken in a process of its own, registrations and conversations in a database as durable as a fleet's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any, Final

import anyio
import anyio.to_thread
import uvloop

from tests.bench.fleets import ROOT
from tests.bench.measure import sample
from tests.bench.stage import Figures, Stage
from workers.registrations.sqlite import SqliteBackend
from workers.registry import BotRegistry

BOTS = 1_000
LOOKS = 200_000
NAMES: Final = [f"customer-{number}" for number in range(BOTS)]
BASE: dict[str, Any] = {"llm": {"provider": "openai", "model": "gpt-4o", "api_key": "${BENCH_KEY}"}}


async def registered(stage: Stage) -> Figures:
    """Measure a registry of a thousand bots."""
    rounds: list[Figures] = []
    for number in range(stage.rounds):
        stage.tell(f"  registry, round {number + 1}")
        folder = stage.folder()
        found = [await anyio.to_thread.run_sync(_apart, name, folder) for name in PARTS]
        rounds.append({key: value for part in found for key, value in part.items()})
    return {key: round(median(found[key] for found in rounds), 3) for key in rounds[0]}


def _apart(name: str, folder: Path) -> Figures:
    command = [sys.executable, "-m", "tests.bench.registered", name, str(folder)]
    environment = os.environ | {"BENCH_KEY": "sk-bench-0123456789"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise SystemExit(f"the registry failed: {done.stderr[-2000:]}")
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


# --- in a process of its own ---------------------------------------------------------------------------------------


def _own(number: int) -> dict[str, Any]:
    system = f"You are the assistant of customer {number}. Be brief, be kind, never guess."
    return {"prompts": {"system": system}, "memory": {"max_messages": 10}}


async def put(registry: BotRegistry) -> Figures:
    """Register a thousand bots at once."""
    began = time.monotonic()
    await asyncio.gather(*(registry.register(name, _own(number)) for number, name in enumerate(NAMES)))
    return {"registered_s": time.monotonic() - began}


async def get(registry: BotRegistry) -> Figures:
    """Have a thousand bots made at once, then look them up one after the other."""
    await registry.register("first", _own(0))
    await registry.get_bot("first")
    gc.collect()
    before, began = sample(os.getpid()), time.monotonic()
    await asyncio.gather(*map(registry.get_bot, NAMES))
    made = time.monotonic()
    gc.collect()
    after, spent = sample(os.getpid()), time.process_time()
    for number in range(LOOKS):
        await registry.get_bot(NAMES[number % BOTS])
    return {
        "made_s": made - began,
        "kib_per_bot": (after.rss_kib - before.rss_kib) / BOTS,
        "get_bot_us": (time.process_time() - spent) * 1e6 / LOOKS,
    }


PARTS: dict[str, Callable[[BotRegistry], Coroutine[Any, Any, Figures]]] = {"put": put, "get": get}


async def main(name: str, folder: str) -> None:
    """Measure one part and print what was found."""
    async with BotRegistry(
        SqliteBackend(), config=BASE, max_cache_size=2 * BOTS, database=Path(folder, "x.db")
    ) as made:
        print(json.dumps(await PARTS[name](made)))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
