"""A database of gigabytes: opening, checking, turns, a backup and pruning while messages come in, a fleet killed on it."""

from __future__ import annotations

import asyncio
import random
import resource
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store import retention
from store.database import Store
from tests.storage.restarts import killed_and_started
from tests.store.filling import DAY_MS, NOW_MS, turn, update

BOTS, CONVERSATIONS, MESSAGES = 1000, 100, 100
RATE_PER_S = 60
CALLERS = 200
PAIRS = 11
"""Measurements of a turn on either file; the first two fill the caches."""

OPENING_S = 0.5
"""The most that opening may take longer than with an empty file: its size must not show."""
TURN_RATIO = {"in conversations spoken in lately": 1.2, "anywhere": 2.0}
"""The most a turn may cost, in those of the empty file. Anywhere, its pages are on the disk, not in the cache."""
MEMORY_MB = 64
"""The most memory may grow by in all of it: of both files page caches of 16 MB, and the messages held for turns."""
START_RATIO = 1.3
"""The most that a start after a kill may take, to the first answer, in those of the empty file."""
START_S = 4.0
"""And at most so long, on a machine that does other things too."""
ROUNDS = 5


@dataclass(slots=True)
class Load:
    """Turns done so far and how long each took, in milliseconds."""

    number: int = 10_000_000
    took_ms: list[float] = field(default_factory=list)

    def figures(self) -> str:
        """Return p50, p99 and the worst since the last call."""
        took, self.took_ms = sorted(self.took_ms), []
        if not took:
            return "no turns"
        return f"p50 {took[len(took) // 2]:.1f}, p99 {took[int(len(took) * 0.99)]:.1f}, worst {took[-1]:.1f} ms of {len(took)} turns"


@dataclass(slots=True)
class Verdict:
    """What was judged, and what was beyond its bound."""

    exceeded: list[str] = field(default_factory=list)

    def judge(self, what: str, found: float, bound: float, form: str = ".2f") -> None:
        """Print a figure beside its bound; note it when it is beyond."""
        held = found <= bound
        print(f"{'' if held else 'EXCEEDED: '}{what}: {found:{form}}, at most {bound:{form}}", flush=True)
        if not held:
            self.exceeded.append(what)


def build(path: Path, scale: float) -> int:
    """Fill a new database with conversations in clear order, some rows past their time; return how many messages."""
    conversations = max(1, int(CONVERSATIONS * scale))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        for bot in range(BOTS):
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _messages(bot, conversations)
            )
            rows = [(f"b{bot:04}", "acme", f"{n:05}", MESSAGES, NOW_MS, NOW_MS) for n in range(conversations)]
            connection.executemany(
                "INSERT INTO conversations (bot_id, client_id, conversation_id, last_seq, created_ms, updated_ms)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            old = [(f"b{bot:04}", bot * 1000 + n, NOW_MS - 9 * DAY_MS, 20, "l", "a line " * 8, "") for n in range(200)]
            connection.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?)", old)
            connection.execute("COMMIT")
            if bot % 50 == 0:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return BOTS * conversations * MESSAGES


def _messages(bot: int, conversations: int) -> Iterator[tuple[Any, ...]]:
    text = "It is what people say to each other when they talk about chains, brakes and child seats. " * 2
    for conversation in range(conversations):
        for seq in range(1, MESSAGES + 1):
            role = "user" if seq % 2 else "assistant"
            yield (f"b{bot:04}", "acme", f"{conversation:05}", seq, role, text, seq, NOW_MS)


async def cycle(store: Store, load: Load, chance: random.Random, lanes: int = CONVERSATIONS) -> None:
    """Do one turn: receive, read the history, record the answer with one send, mark it sent."""
    load.number += 1
    number = load.number
    partition = store.partition(f"b{chance.randrange(BOTS):04}")
    lane = f"{chance.randrange(lanes):05}"
    began = time.perf_counter()
    await partition.updates.receive([update(number)], number + 1, NOW_MS)
    await partition.messages.tail("acme", lane, 20)
    ids = await partition.record_turn(turn(number, lane), NOW_MS)
    await partition.finish_sends([(ids[0], 1)], NOW_MS)
    load.took_ms.append((time.perf_counter() - began) * 1000)


async def steady(store: Store, load: Load) -> None:
    """Do RATE_PER_S turns a second until cancelled."""
    chance, running = random.Random(1), set[asyncio.Task[None]]()
    while True:
        task = asyncio.ensure_future(cycle(store, load, chance))
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.sleep(1 / RATE_PER_S)


async def cost_us(store: Store, turns: int, seed: int, lanes: int) -> float:
    """Return CPU microseconds a turn, all threads, with CALLERS at once in so many conversations of each bot."""
    load, chance, left = Load(seed * 1_000_000), random.Random(seed), iter(range(turns))

    async def caller() -> None:
        for _ in left:
            await cycle(store, load, chance, lanes)

    began = time.process_time()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return (time.process_time() - began) / turns * 1e6


def rss_mb() -> float:
    """Return the resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


async def during(name: str, load: Load, work: Awaitable[Any]) -> Any:
    """Await something while turns go on; print how long it took, what turns cost, and the memory."""
    load.figures()
    began, before = time.perf_counter(), rss_mb()
    result = await work
    took_s = time.perf_counter() - began
    print(
        f"{name}: {took_s:.1f} s; turns meanwhile {load.figures()}; memory {before:.0f} -> {rss_mb():.0f} MB",
        flush=True,
    )
    return result


async def prune_all(store: Store) -> int:
    """Prune as a fleet does, until nothing is left."""
    rules, total = {"logs": 7, "messages": 365}, 0
    assert set(rules) <= set(retention.TABLES)
    while deleted := await store.prune(rules, NOW_MS):
        total += deleted
        await asyncio.sleep(0.1)
    return total


async def compare(large: Store, empty: Store, turns: int, verdict: Verdict) -> None:
    """Judge what a turn costs in one by the other, alternately; met again first, then met anew.

    Other work on the machine only adds: the cheapest of each is judged, the medians are shown beside.
    """
    for name, lanes in (("in conversations spoken in lately", 1), ("anywhere", CONVERSATIONS)):
        costs: dict[str, list[float]] = {"empty": [], "large": []}
        for seed in range(PAIRS):
            for where, store in (("empty", empty), ("large", large)):
                costs[where].append(await cost_us(store, turns, seed + lanes * 100, lanes))
        figures = (f"{w} {min(c[2:]):.0f} us (median {statistics.median(c[2:]):.0f})" for w, c in costs.items())
        print(f"turn {name}, CPU, {CALLERS} callers: {', '.join(figures)}", flush=True)
        ratio = min(costs["large"][2:]) / min(costs["empty"][2:])
        verdict.judge(f"turn {name}, large : empty", ratio, TURN_RATIO[name])


async def opened(path: Path) -> tuple[Store, float]:
    """Open a database; return it and the seconds it took."""
    began = time.perf_counter()
    store = await Store.open(path, now_ms=NOW_MS)
    return store, time.perf_counter() - began


async def use(large: Path, empty: Path, verdict: Verdict) -> None:
    """Do with a large store all that is done with one, beside an empty one."""
    (small, small_s), (store, large_s) = await opened(empty), await opened(large)
    print(f"opening: empty {small_s * 1000:.0f} ms, large {large_s * 1000:.0f} ms", flush=True)
    verdict.judge("opening, seconds longer than the empty one", large_s - small_s, OPENING_S)
    async with store, small:
        before_mb = rss_mb()
        await compare(store, small, turns=4000, verdict=verdict)
        load = Load(1_000_000_000)
        talking = asyncio.ensure_future(steady(store, load))
        await during("60 turns a second alone, 10 s", load, asyncio.sleep(10))
        found = await during("quick check", load, store.check())
        verdict.judge("findings of the check", len(found), 0, ".0f")
        await during("backup, checked", load, store.backup(large.with_name("copy.db")))
        print(f"pruned {await during('pruning', load, prune_all(store)):,} rows", flush=True)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        verdict.judge("memory, MB grown since the opening", rss_mb() - before_mb, MEMORY_MB, ".0f")


async def start_again(large: Path, empty: Path, verdict: Verdict) -> None:
    """Kill a real fleet and start it again, on both files in turn."""
    found = await killed_and_started(large, empty, ROUNDS)
    for name, start in found.items():
        print(
            f"start after kill -9, {name}: first poll {start.poll_s:.2f} s, first answer {start.answer_s:.2f} s,"
            f" checked {start.checked_s:.2f} s, memory {start.rss_mb:.0f} MB; medians of {ROUNDS}",
            flush=True,
        )
    verdict.judge(
        "start to the first answer, large : empty", found["large"].answer_s / found["empty"].answer_s, START_RATIO
    )
    verdict.judge("start to the first answer, seconds", found["large"].answer_s, START_S)
    verdict.judge(
        "memory of the fleet, MB more than the empty one's",
        found["large"].rss_mb - found["empty"].rss_mb,
        MEMORY_MB,
        ".0f",
    )


async def run(folder: Path, scale: float) -> int:
    """Build, measure and judge; everything lies in the folder given. Returns 1 when a bound is exceeded."""
    verdict, homes = Verdict(), (folder / "large", folder / "empty")
    large, empty = (home / "fleet" / "botdeck.db" for home in homes)
    await (await Store.open(large, now_ms=NOW_MS)).close()
    began = time.perf_counter()
    rows = await asyncio.to_thread(build, large, scale)
    print(
        f"{rows:,} messages, {large.stat().st_size / 1e9:.2f} GB, built in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    await use(large, empty, verdict)
    large.with_name("copy.db").unlink()
    await start_again(*homes, verdict)
    print(f"{len(verdict.exceeded)} bounds exceeded", *verdict.exceeded, sep="\n  ")
    return int(bool(verdict.exceeded))
