"""`make soak`: let a fleet live a busy life for half an hour, and see that nothing grows and nothing is left over.

`python -m tests.soak [--minutes M] [--bots N] [--rate R] [--seed S]`
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import anyio

from tests.bench.measure import machine
from tests.soak.course import Course, Plan, soak
from tests.soak.gauges import LOG_BYTES, journal_bound, slope_kib_per_10_min

SLOPE_NEEDS_MINUTES = 5.0
"""Before that memory grows because caches fill."""


def main() -> int:
    """Soak; 0 = every bound was kept, 1 = not."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="See that nothing grows in a busy fleet.")
    parser.add_argument(
        "--minutes", type=float, default=30.0, metavar="M", help="how long (30); from 5 on growth is judged"
    )
    parser.add_argument("--bots", type=int, default=30, metavar="N", help="bots (30)")
    parser.add_argument("--rate", type=float, default=20.0, metavar="R", help="messages a second (20)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="what chance does (1)")
    options = parser.parse_args()
    plan = Plan(options.minutes * 60, options.bots, options.rate, seed=options.seed)
    folder = Path(tempfile.mkdtemp(prefix="botdeck-soak-"))
    print(
        f"{options.minutes:g} minutes, {options.bots} bots, {options.rate:g} messages a second; {machine()}", flush=True
    )
    slope = options.minutes >= SLOPE_NEEDS_MINUTES
    if not slope:
        print(f"growth of memory is not judged: that takes {SLOPE_NEEDS_MINUTES:g} minutes", flush=True)
    course = anyio.run(soak, plan, folder, partial(print, flush=True), backend_options={"use_uvloop": True})
    course.judge(slope=slope)
    print("\n".join(["", *table(course, slope=slope), "", *course.wrong]))
    if course.wrong:
        print(f"the fleet is kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def table(course: Course, *, slope: bool) -> list[str]:
    """Return the account of a soak, a line each."""
    assert course.before is not None, "the soak has begun"
    assert course.after is not None, "the soak has ended"
    grown, bound = slope_kib_per_10_min(course.steady), journal_bound(course.plan.rows_per_bot)
    lines = [f"{'':24}{'before':>12}{'peak':>12}{'after':>12}  bound"]
    for name, scale, unit, limit in (
        ("rss_kib", 1024, "MiB", f"slope {grown:+.0f} of 1,024 KiB in 10 min" if slope else "not judged: too short"),
        ("tasks", 1, "", "as before"),
        ("threads", 1, "", "as before"),
        ("descriptors", 1, "", "as before"),
        ("wal_bytes", 2**20, "MiB", f"{LOG_BYTES >> 20} MiB"),
        ("journal_rows", 1, "", f"{bound}"),
        ("overdue", 1, "", "0"),
        ("old_rows", 1, "", "gone with the next walk, of every table"),
        ("lag_ms", 1, "ms", "-"),
    ):
        seen = (getattr(course.before, name), course.peak(name), getattr(course.after, name))
        cells = "".join(f"{value / scale:>12,.{1 if scale > 1 else 0}f}" for value in seen)
        lines.append(
            f"{name.removesuffix('_kib').removesuffix('_bytes').replace('_', ' ') + ' ' + unit:24}{cells}  {limit}"
        )
    return [*lines, "", *(f"{name:28}{count:>10,}" for name, count in course.counts.items())]


if __name__ == "__main__":
    sys.exit(main())
