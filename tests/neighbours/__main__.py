"""One bad bot among good ones: what the good ones' people notice of it, and what the operator is told.

`python -m tests.neighbours [case …] [--bots N] [--rate R] [--seconds S] [--rounds N]`

Quiet and disturbed windows take turns in one run of one fleet: message said → answer seen at the double.
"""

from __future__ import annotations

import argparse
import sys

import anyio

from tests.bench.measure import machine
from tests.neighbours.cases import CASES
from tests.neighbours.measuring import Plan, Report, measure

HEAD = ("case", "quiet p50", "p99", "disturbed p50", "p99", "x", "overtaken", "in the deed", "memory MiB", "alarm")
WIDTHS = (10, 10, 8, 14, 8, 6, 11, 12, 11, 0)


def main() -> int:
    """Measure the cases asked for; 0 = every bound was kept."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.neighbours", description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="default: all")
    parser.add_argument("--bots", type=int, default=usual.bots, help="good bots (50)")
    parser.add_argument("--rate", type=float, default=usual.rate_per_s, help="messages a second, in all (50)")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of each window (6)")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="quiet and disturbed by turns (5)")
    asked = parser.parse_args()
    plan = Plan(asked.bots, asked.rate, asked.seconds, asked.rounds)
    print(
        f"{plan.bots} good bots, {plan.rate_per_s:g} messages/s, {plan.rounds} rounds of {plan.seconds:g} s quiet and"
        f" disturbed; medians; {machine()}"
    )
    print(row(*HEAD), flush=True)
    reports = []
    for name in asked.cases or CASES:
        report = anyio.run(measure, name, plan, backend_options={"use_uvloop": True})
        reports.append(report)
        print(line_of(report), *(f"  BROKEN: {text}" for text in report.broken), sep="\n", flush=True)
    return int(any(report.broken for report in reports))


def row(*cells: str) -> str:
    """Return one line of the table."""
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True))


def line_of(report: Report) -> str:
    """Return one case as a line; times are milliseconds."""
    times = [f"{report.median(which, number):.1f}" for which in ("quiet_ms", "disturbed_ms") for number in (0, 1)]
    overtaken = "/".join(f"{report.median('overtaken', number):.0f}" for number in (0, 1))
    deed = f"{report.deed_ms:.0f}" if report.deed_ms else "-"
    return row(
        report.case, *times, f"{report.times:.2f}", overtaken, deed, f"{report.grown_mib:+.0f}", report.alarm[:150]
    )


if __name__ == "__main__":
    sys.exit(main())
