"""What a program pays to make bots and to speak with them: no channel, no HTTP, a database as durable as a fleet's.

Each figure is taken in a process of its own, by its own CPU seconds (all threads, the writer's among them).
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
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import anyio.to_thread
import uvloop

from tests.bench.fleets import ROOT
from tests.bench.measure import sample
from tests.bench.stage import Figures, Stage
from tests.bench.turns import CHATS, fill_conversations, make_database
from workers.bot import Bot, BotContext
from workers.manager import BotManager
from workers.registry import BotRegistry

BOTS = 1_000
TALKS = 1_000
SLOW_S = 5.0
LOOKS = 100_000
EARLY, LATE = 10, 1_000
"""Turns a conversation has behind it."""


async def chat(stage: Stage) -> Figures:
    """Measure bots made and asked by a program."""
    rounds: dict[str, list[Figures]] = {}
    each = 5 if stage.quick else 20
    for number in range(stage.rounds):
        stage.tell(f"  programs, round {number + 1}")
        for name, given in (
            ("made", ()),
            ("registered", ()),
            ("one", (1, each)),
            ("many", (100, each)),
            ("early", (EARLY, each // 2)),
            ("late", (LATE, each // 2)),
        ):
            rounds.setdefault(name, []).append(await anyio.to_thread.run_sync(_apart, name, stage.folder(), given))
    seen = {name: {key: median(r[key] for r in found) for key in found[0]} for name, found in rounds.items()}
    return {
        **{key: round(value, 2) for key, value in (seen["made"] | seen["registered"]).items()},
        "turns, 1 bot": round(seen["one"]["per_core_s"]),
        "turns, 100 bots": round(seen["many"]["per_core_s"]),
        "late_us": round(seen["late"]["cost_us"]),
        "late to early": round(seen["late"]["cost_us"] / seen["early"]["cost_us"], 2),
        "late to early, first since the start": round(seen["late"]["first_us"] / seen["early"]["first_us"], 2),
    }


def _apart(name: str, folder: Path, given: tuple[int, ...]) -> Figures:
    command = [sys.executable, "-m", "tests.bench.chat", name, str(folder), *map(str, given)]
    environment = os.environ | {"BENCH_KEY": "sk-bench-0123456789"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


# --- in a process of its own ---------------------------------------------------------------------------------------


def _config(number: int) -> dict[str, Any]:
    return {
        "llm": {"provider": "openai", "model": "gpt-4o", "api_key": "${BENCH_KEY}"},
        "prompts": {"system": f"You are the assistant of customer {number}. Be brief, be kind, never guess."},
        "memory": {"max_messages": 10},
    }


async def made(folder: Path) -> Figures:
    """Make a thousand bots at once, one of which takes its time; then look them up."""

    def load(bot_id: str) -> dict[str, Any]:
        if bot_id == "bot00500":
            time.sleep(SLOW_S)
        return _config(int(bot_id[3:]))

    async with BotManager(load, database=folder / "x.db") as manager:
        await manager.get_or_create("first", _config(0))
        gc.collect()
        before, began, done = sample(_me()), time.monotonic(), list[float]()

        async def make(number: int) -> None:
            await manager.get_or_create(f"bot{number:05}")
            done.append(time.monotonic() - began)

        await asyncio.gather(*map(make, range(BOTS)))
        gc.collect()
        after = sample(_me())
        return {
            "others_s": sorted(done)[-2],
            "slow_s": max(done),
            "creation_cpu_ms": (after.cpu_s - before.cpu_s) * 1000 / BOTS,
            "kib_per_bot": (after.rss_kib - before.rss_kib) / BOTS,
            "get_us": await _look_up(manager.get),
            "get_or_create_us": await _look_up(manager.get_or_create),
        }


async def registered(folder: Path) -> Figures:
    """Register a thousand bots, and look them up."""
    async with BotRegistry(database=folder / "x.db") as registry:
        for number in range(BOTS):
            await registry.register(f"bot{number:05}", _config(number))
            await registry.get_bot(f"bot{number:05}")
        return {"get_bot_us": await _look_up(registry.get_bot)}


async def _look_up(get: Callable[[str], Coroutine[Any, Any, Any]]) -> float:
    names = [f"bot{number:05}" for number in range(BOTS)]
    began = time.perf_counter()
    for number in range(LOOKS):
        await get(names[number % BOTS])
    return (time.perf_counter() - began) * 1e6 / LOOKS


async def turns(folder: Path, bots: int, each: int) -> Figures:
    """Ask in a thousand conversations at once, each as fast as it is answered."""
    async with BotManager(database=folder / "x.db") as manager:
        made = [await manager.get_or_create(f"bot{number:05}", {"llm": {"provider": "echo"}}) for number in range(bots)]
        talks = [
            (made[number % bots], BotContext(f"talk{number}", f"client{number % 50}", "7")) for number in range(TALKS)
        ]
        await asyncio.gather(*(_ask(bot, context, 2) for bot, context in talks))
        return {"per_core_s": 1 / await _cost_s(talks, each)}


async def long(folder: Path, behind: int, each: int) -> Figures:
    """Ask in conversations that have so many turns behind them."""
    bots = TALKS // CHATS
    fill = partial(fill_conversations, bots=bots, length=2 * behind)
    await anyio.to_thread.run_sync(make_database, folder / "x.db", fill)
    async with BotManager(database=folder / "x.db") as manager:
        talks = []
        for number in range(bots):
            bot = await manager.get_or_create(f"bot{number:05}", {"llm": {"provider": "echo"}})
            talks += [(bot, BotContext(str(chat + 1))) for chat in range(CHATS)]
        # The first turn of a conversation since the start reads it from the file; the others need not.
        return {"first_us": await _cost_s(talks, 1) * 1e6, "cost_us": await _cost_s(talks, each) * 1e6}


async def _ask(bot: Bot, context: BotContext, count: int) -> None:
    for number in range(count):
        await bot.chat(f"message {number} of a length people write in", context)


async def _cost_s(talks: list[tuple[Bot, BotContext]], each: int) -> float:
    """Return the CPU seconds of one turn."""
    before = sample(_me())
    await asyncio.gather(*(_ask(bot, context, each) for bot, context in talks))
    return (sample(_me()).cpu_s - before.cpu_s) / (each * len(talks))


def _me() -> int:
    return os.getpid()


PARTS: dict[str, Callable[..., Coroutine[Any, Any, Figures]]] = {
    "made": made, "registered": registered, "one": turns, "many": turns, "early": long, "late": long,
}  # fmt: skip


if __name__ == "__main__":
    name, folder, *given = sys.argv[1:]
    print(json.dumps(uvloop.run(PARTS[name](Path(folder), *map(int, given)))))
