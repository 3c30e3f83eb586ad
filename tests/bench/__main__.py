"""`make bench`: every figure botdeck is held to, beside the peers, in one run.

The Bot API double runs in this process, each subject in one of its own; CPU and memory are read from the kernel.
`python -m tests.bench [--quick] [--add] [--write] [rest | turns | growth | latency | edits | model | chat | registered | http | many …]`
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio

from tests.bench import bench_llm
from tests.bench.chat import chat
from tests.bench.edits import edits
from tests.bench.http import http
from tests.bench.latency import latency
from tests.bench.pieces import ALL, keep, load, take, why_unfit
from tests.bench.registered import registered
from tests.bench.rest import many, rest
from tests.bench.stage import Figures, Stage
from tests.bench.table import figures_of, markdown, missed, missing, write_document
from tests.bench.turns import growth, turns


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
    parser.add_argument("--add", action="store_true", help="take these anew, let those kept stand for the others")
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/performance.md: whole pieces only"
    )
    parser.add_argument("--bots", type=int, default=10_000, help="of `many` (10,000)")
    options = parser.parse_args()
    names, pieces = options.figures or ALL, load() if options.add else {}
    if options.write and (reason := why_unfit(pieces, names, quick=options.quick)):
        parser.error(reason)
    stage = Stage(quick=options.quick)
    every = FIGURES | {"many": partial(many, bots=options.bots)}
    try:
        for name in names:
            print(name, flush=True)
            pieces[name] = take(every[name](stage), quick=options.quick)
            print(f"{name} took {pieces[name].took_s:.0f} s", flush=True)
            keep(pieces)
    finally:
        shutil.rmtree(stage.scratch)
    print(json.dumps(figures_of(pieces), indent=2), "", *markdown(pieces), *missing(pieces), "", sep="\n")
    if options.write:
        print(f"written to {write_document(pieces)}")
    print(*missed(pieces), sep="\n")
    return 1 if missed(pieces) else 0


if __name__ == "__main__":
    sys.exit(main())
