"""`python -m tests.network [BOTS] [MINUTES]`: a fleet of real bots loses its network in each way, for all bots at once.

Time is held in hand, so that ten minutes away take seconds; connections, database and double are real. Prints for each
way what became of the bots, when all were back, how they came back, and what the outage cost in log and memory.
Ends with 1 when a bot was restarted or counted against, or when not all were back in time.
"""

from __future__ import annotations

import gc
import logging
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import anyio

from config.vocabulary import Phase
from console.runtime import raise_descriptor_limit
from tests.network.place import Place, place
from tests.network.proxy import Proxy
from workers.clock import ManualClock

BACK_S: Final = 90
STEP_S: Final = 5
PAGE_KIB: Final = resource.getpagesize() // 1024


def refused(road: Proxy) -> None:
    """Connections end with RST, new ones are refused."""
    road.refuse()
    road.reset()


def swallowed(road: Proxy) -> None:
    """Connections are accepted, nothing is ever answered."""
    road.hole()


def forgotten(road: Proxy) -> None:
    """Living connections are forgotten by a NAT, new ones refused."""
    road.forget()
    road.refuse()


def hung_up(road: Proxy) -> None:
    """Connections end in an orderly way, and so does every new one with its first byte."""
    road.up.passes, road.up.then = 0, "close"
    road.hang_up()


WAYS: Final[tuple[Callable[[Proxy], None], ...]] = (refused, swallowed, forgotten, hung_up)


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
        return self.back_s <= BACK_S and not self.restarts + self.held_against + self.not_running


async def lose(it: Place, way: Callable[[Proxy], None], minutes: float, lines: Lines) -> Result:
    """Lose the network in one way, let minutes pass, give it back, and look."""
    (road,) = it.roads
    said, grown = lines.count, rss_kib()
    way(road)
    await it.lapse(minutes * 60, STEP_S)
    lost, before = len(it.bots) - len(it.polling()), len(road.accepted)
    road.clear()
    ended = it.clock.monotonic()
    back_s = await it.until(lambda: len(it.polling()) == len(it.bots), within_s=10 * BACK_S)
    await it.lapse(30, STEP_S)
    peak = Counter(int(moment - ended) for moment in road.accepted[before:])
    bots = it.rig.pool.bots()
    return Result(
        way.__name__,
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


async def main(count: int, minutes: float) -> int:
    """Try every way; return the exit code."""
    raise_descriptor_limit()
    lines, clock = Lines(), ManualClock()
    logging.getLogger("workers").addHandler(lines)
    logging.getLogger("workers").setLevel(logging.INFO)
    logging.getLogger("workers").propagate = False
    bot_ids = [f"b{number:05}" for number in range(count)]
    good = True
    print(f"{count} bots, {minutes:g} minutes away each time (held time)")
    with tempfile.TemporaryDirectory() as folder:
        async with place(Path(folder), clock) as it:
            await it.start(bot_ids, it.roads[0])
            for way in WAYS:
                result = await lose(it, way, minutes, lines)
                good = good and result.good
                print(
                    f"{result.way:10} lost {result.lost}; restarted {result.restarts}, counted against "
                    f"{result.held_against}, not running {result.not_running}; all back after {result.back_s:.0f} s, at "
                    f"most {result.peak_per_s} connections a second; {result.lines} log lines; RSS {result.grown_kib:+} KiB"
                )
    return 0 if good else 1


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(
        anyio.run(
            main,
            int(arguments[0]) if arguments else 300,
            float(arguments[1]) if len(arguments) > 1 else 10.0,
            backend_options={"use_uvloop": True},
        )
    )
