"""`make bench`: every figure botdeck is held to, beside the peers, in one run.

The Bot API double runs in this process, each subject in one of its own; CPU and memory are read from the kernel.
`python -m tests.bench [--quick] [--add] [--write] [rest | turns | growth | latency | edits | model | chat | registered | http | many …]`
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import uvloop

from tests.bench import bench_llm
from tests.bench.chat import chat
from tests.bench.edits import edits
from tests.bench.http import http
from tests.bench.latency import latency
from tests.bench.measure import machine
from tests.bench.registered import registered
from tests.bench.rest import many, rest
from tests.bench.stage import Figures, Stage
from tests.bench.table import ROWS, markdown, missed, write_document
from tests.bench.turns import growth, turns

RESULTS = Path(__file__).parent / "results"
LATEST = RESULTS / "latest.json"
ALL = ("rest", "turns", "latency", "growth", "edits", "model", "chat", "registered", "http")


async def model(stage: Stage) -> Figures:
    """Measure the CPU of a model's answer."""
    stage.tell("  model answers")
    return await anyio.to_thread.run_sync(bench_llm.main)


FIGURES: dict[str, Callable[[Stage], Coroutine[Any, Any, Figures]]] = {
    "rest": rest,
    "turns": turns,
    "latency": latency,
    "growth": growth,
    "edits": edits,
    "model": model,
    "http": http,
    "chat": chat,
    "registered": registered,
}


def main() -> int:
    """Take the figures asked for, print and keep them; 1 = one of them is not what it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure botdeck beside its peers.")
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, "many", []], help="default: all but many")
    parser.add_argument("--quick", action="store_true", help="smaller fleets, one round: to see that it runs")
    parser.add_argument("--add", action="store_true", help="take these anew, let the last run stand for the others")
    parser.add_argument("--write", action="store_true", help="put the table of a whole run into docs/performance.md")
    parser.add_argument("--bots", type=int, default=10_000, help="of `many` (10,000)")
    options = parser.parse_args()
    stage = Stage(quick=options.quick)
    last = json.loads(LATEST.read_text()) if options.add and LATEST.exists() else {}
    seen: Figures = last | {
        "machine": machine(),
        "taken": datetime.now(UTC).isoformat(timespec="minutes"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "quick": options.quick,
    }
    every = FIGURES | {"many": partial(many, bots=options.bots)}
    try:
        for name in options.figures or ALL:
            print(name, flush=True)
            seen[name] = uvloop.run(every[name](stage))
            keep(seen)
    finally:
        shutil.rmtree(stage.scratch)
    print(json.dumps(seen, indent=2), "", *markdown(seen), "", sep="\n")
    if options.write and len(markdown(seen)) == len(ROWS) + 2 and not options.quick:
        write_document(seen)
    print(*missed(seen), sep="\n")
    return 1 if missed(seen) else 0


def keep(seen: Figures) -> None:
    """Write down what there is so far: a whole run takes a quarter of an hour."""
    RESULTS.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(seen, indent=2))


if __name__ == "__main__":
    sys.exit(main())
