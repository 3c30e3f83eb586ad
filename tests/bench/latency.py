"""What botdeck adds to an answer: from an update that is there at the server until its answer is, less a raw client's."""

from __future__ import annotations

import statistics
import time
from typing import Any

import anyio

from tests.bench.stage import SETTLE_S, Figures, Stage, percentile

RATE_PER_S = 200
CHATS = 3


async def latency(stage: Stage) -> Figures:
    """Measure answers at a steady rate over many bots, of botdeck and of a client that does nothing but answer."""
    seconds = 5.0 if stage.quick else 15.0
    seen: dict[str, list[dict[str, float]]] = {"botdeck": [], "raw": []}
    for number in range(stage.rounds):
        for name, rounds in seen.items():
            stage.tell(f"  latency of {name}, round {number + 1}")
            rounds.append(await _once(stage, name, seconds))
    figures: Figures = {}
    for share in ("p50", "p99"):
        ours, floor = (statistics.median(each[share] for each in seen[name]) for name in ("botdeck", "raw"))
        figures |= {f"{share}_ms": round(ours, 1), f"raw_{share}_ms": round(floor, 1), f"added_{share}_ms": round(ours - floor, 1)}  # fmt: skip
    return figures


async def _once(stage: Stage, name: str, seconds: float) -> dict[str, float]:
    asked: dict[str, float] = {}
    took: list[float] = []

    def answered(bot: Any, line: Any) -> None:
        if line.by_bot:
            took.append(time.perf_counter() - asked.pop(line.text))

    async with stage.subject(name, stage.bots) as subject:
        await anyio.sleep(SETTLE_S)
        subject.double.listeners.append(answered)
        everybody, said, began = list(subject.double.bots.values()), 0, time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            while said < now * RATE_PER_S:
                said += 1
                asked[f"message {said}"] = time.perf_counter()
                everybody[said * 7919 % len(everybody)].say(1 + said % CHATS, f"message {said}")
            await anyio.sleep(0.001)
        await subject.until(lambda: len(took) >= said)
    settled = took[RATE_PER_S:]
    return {"p50": percentile(settled, 0.5) * 1000, "p99": percentile(settled, 0.99) * 1000}
