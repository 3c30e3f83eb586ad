"""What the console costs a busy fleet: the same fleet and the same load, headless and under the console, in one run.

`python -m tests.bench.bench_console [--bots N] [--seconds S] [--rounds N]`

The subject is a process of its own on a pty of 140x40 whose every byte is read. The load is 1,000 changes of conditions and
2,000 log lines a second, spread over all bots. CPU and memory are the kernel's, of that process alone: the resident set, and the
proportional one, in which pages shared with other processes count in parts. Headless and console take turns; what is told are
medians of the rounds, and of the differences within a round. Memory is read at the same age of both, counted from the moment all
bots were there.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import anyio

from config.vocabulary import Condition
from tests.bench.measure import pss_kib, sample
from tests.terminals import Terminal, children
from tests.waiting import eventually_sync

CHANGES_PER_S = 1000
LINES_PER_S = 2000
STEP_S = 0.02
WARM_S = 6.0
PRESSES = 60


def write_fleet(root: Path, bots: int) -> None:
    """Write a fleet of bots without a channel: what is measured is the console."""
    (root / "bots").mkdir(parents=True)
    (root / "fleet.toml").write_text('[fleet]\nname = "bench"\n[start]\nrate_per_s = 0\nmax_starting = 10000\n')
    for number in range(bots):
        (root / "bots" / f"bot{number:05}.toml").write_text('channel = "none"\n[llm]\nprovider = "echo"\n')


class Load:
    """Company of a fleet: the load, and a probe of the loop's lag. Writes what it saw when the fleet ends."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._lags: list[float] = []
        self.fleet: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *how: object) -> None:
        lags = sorted(self._lags[len(self._lags) // 4 :])
        self._report.write_text(
            json.dumps(
                {"lag_p99_ms": lags[int(len(lags) * 0.99)] * 1000, "lag_max_ms": lags[-1] * 1000} if lags else {}
            )
        )

    def open_channel(self, *arguments: Any) -> Any:
        from workers.channels import open_channel

        return open_channel(*arguments)

    async def run(self) -> None:
        """The load begins when the fleet is ready: see `Keeping`."""
        await anyio.sleep_forever()

    async def press(self) -> None:
        """Put the load on the fleet."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._change)
            group.start_soon(self._probe)

    async def _change(self) -> None:
        records = [keeper.record for keeper in self.fleet.pool._keepers.values()]
        log, turn, began, done, said = logging.getLogger("bench"), 0, time.monotonic(), 0, 0
        while True:
            await anyio.sleep(STEP_S)
            due = time.monotonic() - began
            while done < due * CHANGES_PER_S:
                done += 1
                record = records[done * 7919 % len(records)]
                record.conditions.set(Condition.THROTTLED, done // len(records) % 2 == 0, f"change {done}")
            while said < due * LINES_PER_S:
                said += 1
                log.info(
                    "message %d of a busy fleet, written down",
                    said,
                    extra={"bot_id": records[said * 7919 % len(records)].bot_id},
                )
            turn += 1

    async def _probe(self) -> None:
        while True:
            before = time.monotonic()
            await anyio.sleep(0.01)
            self._lags.append(time.monotonic() - before - 0.01)


def subject(root: Path, report: Path, *, ui: bool) -> int:
    """Run the fleet with the load, under a console or not."""
    from console.foreground import Foreground
    from console.headless import ReadyLine, run_fleet
    from console.terminal import Terminal as Front

    load = Load(report)
    shown = Front(root, Foreground(None)) if ui else ReadyLine()

    class Keeping:
        on_screen = ui
        up = shown.up

        async def show(self, fleet: Any, ending: Any) -> None:
            fleet.logbook.quiet = True
            load.fleet = fleet
            async with anyio.create_task_group() as group:
                group.start_soon(load.press)
                await shown.show(fleet, ending)
                if not ui:
                    await ending.asked.wait()
                group.cancel_scope.cancel()

    return run_fleet(root, company=load, front=Keeping())


def measure(root: Path, *, ui: bool, seconds: float) -> dict[str, float]:
    """Measure one subject."""
    report = root / f"report-{ui}.json"
    began = time.perf_counter()
    terminal = Terminal(
        sys.executable, "-m", "tests.bench.bench_console", "--subject", str(root), str(report), *(["--ui"] if ui else []),
        columns=140, lines=40, XDG_RUNTIME_DIR=str(root), XDG_STATE_HOME=str(root),
    )  # fmt: skip
    try:
        painted = _until_painted(terminal, began) if ui else 0.0
        terminal.until("bot00" if ui else "ready", within_s=60)
        listed = time.perf_counter() - began
        pid = next(iter(children(terminal.process.pid)), terminal.process.pid)
        _drain(terminal, WARM_S)
        before = sample(pid)
        _drain(terminal, seconds)
        after, pss = sample(pid), pss_kib(pid)
        keys = [_press(terminal, "jk"[n % 2]) for n in range(PRESSES)] if ui else []
        os.kill(pid, 15)
        terminal.until(lambda: terminal.process.poll() is not None)
    finally:
        terminal.end()
    seen = json.loads(report.read_text())
    cpu = (after.cpu_s - before.cpu_s) / seconds * 100
    figures = {"cpu_percent": cpu, "rss_mib": after.rss_kib / 1024, "pss_mib": pss / 1024, **seen}
    if keys:
        keys.sort()
        figures |= {
            "first_paint_s": painted,
            "all_bots_s": listed,
            "key_p50_ms": statistics.median(keys),
            "key_p95_ms": keys[int(len(keys) * 0.95)],
        }
    return figures


def _until_painted(terminal: Terminal, began: float) -> float:
    """Wait for the first picture; return the seconds since the start."""
    terminal.until("Loading", within_s=60)
    return time.perf_counter() - began


def _drain(terminal: Terminal, seconds: float) -> None:
    """Read what is painted for some time, as a terminal does."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        terminal.read()
        terminal.output = terminal.output[-65536:]
        time.sleep(0.005)


def _press(terminal: Terminal, key: str) -> float:
    """Press a key just after a paint; return the milliseconds until the next bytes arrive."""
    _drain(terminal, 0.05)
    terminal.output = b""
    eventually_sync(lambda: (terminal.read(), terminal.output)[1], within_s=5)
    _drain(terminal, 0.02)
    terminal.output = b""
    began = time.perf_counter()
    terminal.keys(key)
    while not terminal.output and time.perf_counter() - began < 5:
        terminal.read()
    return (time.perf_counter() - began) * 1000


def round_of(bots: int, seconds: float) -> dict[str, dict[str, float]]:
    """Measure headless and console, one after the other, and what the second has more than the first."""
    figures = {}
    for ui in (False, True):
        with tempfile.TemporaryDirectory(prefix="botdeck-bench-") as made:
            write_fleet(Path(made), bots)
            figures["console" if ui else "headless"] = measure(Path(made), ui=ui, seconds=seconds)
    more = {
        name: figures["console"][name] - figures["headless"][name] for name in ("cpu_percent", "rss_mib", "pss_mib")
    }
    return {**figures, "added": more}


def middle(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: round(statistics.median(one[name] for one in found), 3) for name in found[0]}


def main() -> dict[str, Any]:
    """Measure both; return and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--subject", nargs=2)
    parser.add_argument("--ui", action="store_true")
    asked = parser.parse_args()
    if asked.subject:
        sys.exit(subject(Path(asked.subject[0]), Path(asked.subject[1]), ui=asked.ui))
    found = [round_of(asked.bots, asked.seconds) for _ in range(asked.rounds)]
    figures: dict[str, Any] = {kind: middle([one[kind] for one in found]) for kind in ("headless", "console", "added")}
    figures["rounds"] = [one["added"] for one in found]
    print(json.dumps(figures, indent=2))
    return figures


if __name__ == "__main__":
    main()
