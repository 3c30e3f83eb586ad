"""Many bots at rest: memory, start, idle CPU, stop."""

from __future__ import annotations

import statistics

import anyio

from tests.bench.measure import pss_kib, sample
from tests.bench.stage import SETTLE_S, Figures, Stage

POLL_S = 10
PROCESSES = 5
ALONE_S = 3.0
"""What follows the start of one bot or none."""


async def rest(stage: Stage) -> Figures:
    """Measure botdeck with many bots over an empty fleet, the peers over one bot, and one process per bot."""
    idle_s, peer_bots = (6.0, 50) if stage.quick else (20.0, 200)
    peer_s = min(idle_s, POLL_S)
    figures: Figures = {}
    for title, name, least, bots, seconds in (
        ("botdeck", "botdeck", 0, stage.bots, idle_s),
        ("python-telegram-bot", "ptb", 1, peer_bots, peer_s),
        ("aiogram", "aiogram", 1, stage.bots, peer_s),
    ):
        base = await _rounds(stage, name, least, 0.5)
        figures[title] = _per_bot(await _rounds(stage, name, bots, seconds), base, bots)
    rounds = [await _processes(stage) for _ in range(stage.rounds)]
    figures["one process per bot"] = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    return figures


async def _rounds(stage: Stage, name: str, bots: int, idle_s: float) -> dict[str, float]:
    """Return the median of each figure over the rounds."""
    rounds = [await _once(stage, name, bots, idle_s) for _ in range(stage.rounds)]
    return {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}


def _per_bot(seen: dict[str, float], base: dict[str, float], bots: int) -> Figures:
    return {
        "bots": bots,
        "kib_per_bot": round((seen["rss_kib"] - base["rss_kib"]) / bots, 1),
        "all_polling_s": round(seen["polling_s"], 2),
        "start_cpu_ms_per_bot": round(seen["start_cpu_s"] * 1000 / bots, 2),
        "idle_cpu_percent": round(seen["idle_cpu_percent"], 2),
        "stop_s": round(seen["stop_s"], 2),
        "descriptors": int(seen["descriptors"]),
    }


async def _once(stage: Stage, name: str, bots: int, idle_s: float) -> dict[str, float]:
    stage.tell(f"  {name}, {bots} bots at rest")
    async with stage.subject(name, bots, poll_s=POLL_S) as subject:
        started = sample(subject.process.pid)
        await anyio.sleep(SETTLE_S if bots > 1 else ALONE_S)
        before, began = sample(subject.process.pid), anyio.current_time()
        await anyio.sleep(idle_s)
        after, took_s = sample(subject.process.pid), anyio.current_time() - began
        return {
            "polling_s": subject.polling_s,
            "start_cpu_s": started.cpu_s,
            "rss_kib": after.rss_kib,
            "descriptors": after.descriptors,
            "idle_cpu_percent": (after.cpu_s - before.cpu_s) / took_s * 100,
            "stop_s": await subject.stop_s(),
        }


async def _processes(stage: Stage) -> Figures:
    """Run a few processes of one bot each; their proportional set sizes share what the kernel shares."""
    async with stage.subject("ptb-processes", PROCESSES, poll_s=POLL_S) as subject:
        await anyio.sleep(SETTLE_S)
        pids = _children(subject.process.pid)
        return {
            "bots": PROCESSES,
            "kib_per_bot": round(sum(pss_kib(pid) for pid in pids) / PROCESSES),
            "all_polling_s": round(subject.polling_s, 2),
            "start_cpu_ms_per_bot": round(sum(sample(pid).cpu_s for pid in pids) / PROCESSES * 1000, 1),
        }


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as listed:
        return [int(word) for word in listed.read().split()]


async def many(stage: Stage, bots: int) -> Figures:
    """See once what a number of bots does to one process: memory, start, idle CPU, stop, descriptors."""
    empty = await _once(stage, "botdeck", 0, 0.5)
    return _per_bot(await _once(stage, "botdeck", bots, 30.0), empty, bots)
