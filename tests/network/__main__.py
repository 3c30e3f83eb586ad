"""`python -m tests.network [BOTS] [MINUTES]`: a fleet of real bots loses its network in each way, for all bots at once.

Time is held in hand, so that ten minutes away take seconds; connections, database and double are real. Prints for each
way what became of the bots, when all were back, how they came back, and what the outage cost in log and memory.
Ends with 1 when a bot was restarted or counted against, or when not all were back in time.
"""

from __future__ import annotations

import argparse
import gc
import logging
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import anyio

from config.vocabulary import Phase
from console.runtime import raise_descriptor_limit
from tests.network.ways import OUTAGES, Outage, Scene, scene
from workers.clock import ManualClock

BACK_S: Final = 90
STEP_S: Final = 5
PAGE_KIB: Final = resource.getpagesize() // 1024


class Lines(logging.Handler):
    """Counts log lines and their characters."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = self.size = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        self.size += len(record.getMessage())


class Result(NamedTuple):
    """One way of losing the network."""

    way: str
    lost: int
    restarts: int
    held_against: int
    not_running: int
    back_s: float
    peak_per_s: int
    lines: int
    grown_kib: int

    @property
    def good(self) -> bool:
        return bool(self.lost) and self.back_s <= BACK_S and not self.restarts + self.held_against + self.not_running


async def lose(at: Scene, outage: Outage, minutes: float, lines: Lines) -> Result:
    """Lose the network in one way, let minutes pass, give it back, and look."""
    it, road = at.it, at.road
    said, grown = lines.count, rss_kib()
    outage.begin(at)
    await it.lapse(minutes * 60, STEP_S)
    lost, before = len(it.bots) - len(it.polling()), len(road.accepted)
    at.mend()
    ended = it.clock.monotonic()
    back_s = await it.until(lambda: len(it.polling()) == len(it.bots), within_s=10 * BACK_S)
    await it.lapse(30, STEP_S)
    peak = Counter(int(moment - ended) for moment in road.accepted[before:])
    bots = it.rig.pool.bots()
    return Result(
        outage.name,
        lost,
        sum(bot.restarts for bot in bots),
        sum(len(bot.failures) for bot in bots),
        sum(bot.phase is not Phase.RUNNING for bot in bots),
        back_s,
        max(peak.values(), default=0),
        lines.count - said,
        rss_kib() - grown,
    )


def rss_kib() -> int:
    """Return the memory of this process now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KIB


async def outages(count: int, minutes: float) -> int:
    """Try every way; return the exit code."""
    raise_descriptor_limit()
    lines, clock = Lines(), ManualClock()
    logging.getLogger("workers").addHandler(lines)
    logging.getLogger("workers").setLevel(logging.INFO)
    logging.getLogger("workers").propagate = False
    good = True
    print(f"{count} bots, {minutes:g} minutes away each time (held time)")
    for secure in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            async with scene(Path(folder), clock, secure=secure) as at:
                await at.start([f"b{number:05}" for number in range(count)])
                for outage in (each for each in OUTAGES if each.secure is secure):
                    result = await lose(at, outage, minutes, lines)
                    good = good and result.good
                    print(told(result), flush=True)
    return 0 if good else 1


def told(result: Result) -> str:
    """Return a result as a line."""
    return (
        f"{result.way:10} lost {result.lost}; restarted {result.restarts}, counted against "
        f"{result.held_against}, not running {result.not_running}; all back after {result.back_s:.0f} s, at "
        f"most {result.peak_per_s} connections a second; {result.lines} log lines; RSS {result.grown_kib:+} KiB"
    )


def main() -> int:
    """Lose the network; 0 = every outage went as it must, 1 = not."""
    parser = argparse.ArgumentParser(prog="python -m tests.network", description=__doc__)
    parser.add_argument("bots", nargs="?", type=int, default=300, help="how many (300)")
    parser.add_argument("minutes", nargs="?", type=float, default=10.0, help="away each time, in held time (10)")
    options = parser.parse_args()
    return anyio.run(outages, options.bots, options.minutes, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    sys.exit(main())
