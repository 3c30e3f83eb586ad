"""What a console's feed costs a fleet, and how soon a change is seen at the other end of the socket.

`python -m tests.bench.bench_feed [--bots N] [--changes N] [--seconds S]`

A fleet of bots without a channel in this process, changed so many times a second; one reader in a process of its own follows
the feed over the socket. CPU is the kernel's, of this process: with the changes alone, and with the changes and the reader.
Every change carries its moment, so that the reader can tell how late it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import anyio
import uvloop

from config.vocabulary import Condition
from tests.bench.bench_console import write_fleet

STEP_S: Final = 0.02
WARM_S: Final = 2.0
SNAPSHOTS: Final = 20
QUIET_CHANGES: Final = 40
CLK: Final = os.sysconf("SC_CLK_TCK")


async def read(root: Path, seconds: float) -> None:
    """Follow the feed of the fleet at root; print how late each change was, in milliseconds."""
    from console.attach import connect
    from console.place import find

    remote = await connect(find(root, None))
    late, seen = [], {}
    with anyio.move_on_after(seconds):
        async with aclosing(remote.feed()) as feed:  # type: ignore[type-var]
            async for frame in feed:
                now = time.time()
                for row in frame["bots"]:
                    reason = row["conditions"].get(Condition.THROTTLED, {}).get("reason", "")
                    if reason and seen.get(row["bot_id"]) != reason and not frame["full"]:
                        late.append((now - float(reason)) * 1000)
                    seen[row["bot_id"]] = reason
                pushed = (now - frame["at"]) * 1000
                late.append(-pushed)
    print(json.dumps(late))


def percentiles(values: list[float]) -> dict[str, float]:
    """Return median, 95th percentile and count."""
    found = sorted(values)
    return {
        "p50": round(found[len(found) // 2], 1),
        "p95": round(found[int(len(found) * 0.95)], 1),
        "count": len(found),
    }


def stamped(records: list[Any]) -> Iterator[None]:
    """Change one bot after another; each change says when it was made."""
    number = 0
    while True:
        records[number * 7919 % len(records)].conditions.set(Condition.THROTTLED, True, repr(time.time()))
        number += 1
        yield


async def change(records: list[Any], per_s: float) -> None:
    """Change bots at an even rate until cancelled."""
    changes, began, done = stamped(records), time.monotonic(), 0
    while True:
        await anyio.sleep(STEP_S if per_s > 1 / STEP_S else 1 / per_s)
        while done < (time.monotonic() - began) * per_s:
            next(changes)
            done += 1


async def reader(root: Path, seconds: float) -> list[float]:
    """Run a reader process to its end; return what it printed."""
    command = [sys.executable, "-m", "tests.bench.bench_feed", "--read", str(root), "--seconds", str(seconds)]
    done = await anyio.run_process(command, stderr=None)
    found: list[float] = json.loads(done.stdout)
    return found


async def under_load(fleet: Any, root: Path, per_s: float, seconds: float) -> dict[str, Any]:
    """Measure CPU without and with a reader, and how late changes are."""
    records = [keeper.record for keeper in fleet.pool._keepers.values()]
    async with anyio.create_task_group() as group:
        group.start_soon(change, records, per_s)
        await anyio.sleep(WARM_S)
        before = time.process_time()
        await anyio.sleep(seconds)
        alone = (time.process_time() - before) / seconds
        found: list[float] = []

        async def follow() -> None:
            found.extend(await reader(root, seconds + 2 * WARM_S))

        async with anyio.create_task_group() as reading:
            reading.start_soon(follow)
            await anyio.sleep(2 * WARM_S)
            before = time.process_time()
            await anyio.sleep(seconds - WARM_S)
            both = (time.process_time() - before) / (seconds - WARM_S)
        group.cancel_scope.cancel()
    return {
        "cpu_percent_changes": round(alone * 100, 2),
        "cpu_percent_feed": round((both - alone) * 100, 2),
        "change_to_client_ms": percentiles([late for late in found if late >= 0]),
        "frame_to_client_ms": percentiles([-late for late in found if late < 0]),
    }


async def at_rest(fleet: Any, root: Path) -> dict[str, Any]:
    """Measure how late a lone change is, and what a whole picture takes."""
    from console.attach import connect

    records, found = [keeper.record for keeper in fleet.pool._keepers.values()], []
    async with anyio.create_task_group() as group:
        group.start_soon(change, records, 2.0)
        found = await reader(root, QUIET_CHANGES / 2.0)
        group.cancel_scope.cancel()
    remote, taken = await connect(fleet.place), []
    for _ in range(SNAPSHOTS):
        began = time.perf_counter()
        await remote.status()
        taken.append((time.perf_counter() - began) * 1000)
    first, spent = [], time.process_time()
    for _ in range(SNAPSHOTS):
        began = time.perf_counter()
        async with aclosing(remote.feed()) as feed:  # type: ignore[type-var]
            await anext(feed)
        first.append((time.perf_counter() - began) * 1000)
    spent = (time.process_time() - spent) / SNAPSHOTS * 1000
    return {
        "lone_change_to_client_ms": percentiles([late for late in found if late >= 0]),
        "status_ms": percentiles(taken),
        "first_frame_ms": percentiles(first),
        "first_frame_cpu_ms": round(spent, 1),
    }


async def measure(bots: int, per_s: float, seconds: float) -> dict[str, Any]:
    """Run the fleet and take every figure."""
    from console.runtime import open_fleet

    with tempfile.TemporaryDirectory(prefix="botdeck-bench-") as made:
        os.environ["XDG_RUNTIME_DIR"] = made
        root = Path(made) / "fleet"
        write_fleet(root, bots)
        async with open_fleet(root) as fleet:
            while fleet.pool.phases().get("running", 0) < bots:  # type: ignore[call-overload]
                await anyio.sleep(0.1)
            return {**await under_load(fleet, root, per_s, seconds), **await at_rest(fleet, root)}


def main() -> None:
    """Measure; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--changes", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--read")
    asked = parser.parse_args()
    if asked.read:
        uvloop.run(read(Path(asked.read), asked.seconds))
        return
    print(json.dumps(uvloop.run(measure(asked.bots, asked.changes, asked.seconds)), indent=2))


if __name__ == "__main__":
    main()
