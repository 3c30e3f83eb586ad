"""The result of campaigns as a table, figures included."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.chaos.campaign import Report
from tests.chaos.editor import EDITS
from tests.chaos.weather import KINDS
from tests.chaos.witness import Served


def lines_of(reports: Sequence[Report], within_s: float) -> list[str]:
    """Return the table, a line a fact, a column a campaign. within_s is how soon a start is to answer."""
    rows: list[tuple[str, list[str]]] = [
        ("", [report.plan.name for report in reports]),
        ("ends", [f"{report.plan.ends} x {report.plan.number.name}" for report in reports]),
        ("messages", [str(report.verdict.said) for report in reports]),
        ("answered twice", [str(report.verdict.twice) for report in reports]),
        ("apologies", [str(report.verdict.apologies) for report in reports]),
        ("in doubt, by botdeck", [str(report.verdict.doubts.counted) for report in reports]),
        ("in doubt, by the double", [str(report.verdict.doubts.seen) for report in reports]),
        ("  by faults", [str(report.verdict.doubts.of_faults) for report in reports]),
        ("  on their way at an end", [str(report.verdict.doubts.at_ends) for report in reports]),
        ("  of these never left", [str(report.verdict.doubts.never_left) for report in reports]),
        ("model asked again", [str(report.verdict.asked_again) for report in reports]),
        ("databases found whole", [str(report.checks) for report in reports]),
        ("starts refused (fleet.toml)", [str(report.refused) for report in reports]),
        ("first poll p50 / worst", [_span(report.lives, "first_poll") for report in reports]),
        ("first answer p50 / worst", [_span(report.lives, "first_answer") for report in reports]),
        (f"  later than {within_s:g} s", [_late(report, within_s) for report in reports]),
        ("all polling p50 / worst", [_span(report.lives, "all_polling") for report in reports]),
        ("faults and edits that struck", [str(report.struck.total()) for report in reports]),
        *[(f"  {kind}", [str(report.struck[kind]) for report in reports]) for kind in (*KINDS, *EDITS)],
        ("verdict", ["kept" if report.kept else f"{len(report.verdict.wrong)} BROKEN" for report in reports]),
    ]
    return [f"{name:<30}" + "".join(f"{cell:>20}" for cell in cells) for name, cells in rows]


def _span(lives: Sequence[Served], what: str) -> str:
    """Return "0.71 / 0.94 s" over the lives that came so far; seconds since the process was spawned."""
    taken = sorted(at - life.spawned for life in lives if (at := getattr(life, what)) is not None)
    return f"{statistics.median(taken):.2f} / {taken[-1]:.2f} s" if taken else "-"


def _late(report: Report, within_s: float) -> str:
    """Return "1 of 24 (4 %)"."""
    taken = starts_s(report)
    late = sum(start_s > within_s for start_s in taken)
    return f"{late} of {len(taken)} ({late / len(taken):.0%})" if taken else "-"


def starts_s(report: Report) -> list[float]:
    """Return the times from spawning to the first answer, in seconds, of every start but the very first."""
    return [life.first_answer - life.spawned for life in report.lives if life.first_answer is not None]


def usual_start_s(report: Report) -> float:
    """Return the median of one campaign's starts, in seconds; 0.0 when nothing was started again.

    The median: one slow start of thirty says more of the machine's other guests than of botdeck.
    """
    return statistics.median(starts_s(report) or [0.0])
