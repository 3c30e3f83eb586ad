"""One case measured: quiet and disturbed by turns on one fleet, and what its bounds say to it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Final

import anyio

from tests.neighbours.cases import CASES, Case, Span
from tests.neighbours.street import Street, Window, street

TIMES: Final = 2.0
"""A good bot's p99 beside a bad one, over that of quiet: the median of all rounds."""
MIB_PER_BOT: Final = 256.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a run is; a round is a quiet and a disturbed window."""

    bots: int = 50
    rate_per_s: float = 50.0
    seconds: float = 6.0
    rounds: int = 5


@dataclass(frozen=True, slots=True)
class Round:
    """Two windows one after the other; pairs are p50 and p99. overtaken: answers of the bad bot that were seen between a
    good one's message and its answer. deed_ms: the longest wait in the deed itself.
    """

    quiet_ms: tuple[float, float]
    disturbed_ms: tuple[float, float]
    overtaken: tuple[float, float]
    grown_mib: float
    deed_ms: float
    unanswered: int


@dataclass(slots=True)
class Report:
    """What one case showed."""

    case: str
    rounds: list[Round] = field(default_factory=list)
    alarm: str = ""
    broken: list[str] = field(default_factory=list)

    def median(self, which: str, number: int) -> float:
        """Return the median over the rounds of one figure of a pair."""
        return float(statistics.median(getattr(one, which)[number] for one in self.rounds))

    @property
    def times(self) -> float:
        """The median of the rounds' ratios of p99."""
        return statistics.median(one.disturbed_ms[1] / one.quiet_ms[1] for one in self.rounds)

    @property
    def grown_mib(self) -> float:
        """The most the process was larger in a disturbed window than in the first quiet one."""
        return max(one.grown_mib for one in self.rounds)

    @property
    def deed_ms(self) -> float:
        """The longest wait in the deed itself."""
        return max(one.deed_ms for one in self.rounds)


async def measure(name: str, plan: Plan) -> Report:
    """Measure one case: in the quiet windows the bad bot is stopped."""
    case, report = CASES[name], Report(name)
    async with street(plan.bots, case.file) as place:
        await place.start_bad()
        await place.stop_bad()
        await case.ready(place)
        await place.talk(2.0, plan.rate_per_s)
        before, first_kib = await place.others(), 0
        for _ in range(plan.rounds):
            quiet = await place.talk(plan.seconds, plan.rate_per_s)
            first_kib = first_kib or quiet.rss_kib
            await place.start_bad()
            disturbed, spans = await _disturbed(place, case, plan)
            report.rounds.append(_round(quiet, disturbed, spans, first_kib))
            report.alarm = report.alarm or await case.told(place)
            await place.stop_bad()
        report.broken = _broken(report, sorted(set((await place.others()).items()) - set(before.items())))
    return report


async def _disturbed(place: Street, case: Case, plan: Plan) -> tuple[Window, list[Span]]:
    spans: list[Span] = []
    async with anyio.create_task_group() as group:

        async def provoke() -> None:
            if case.deed is not None:
                spans.extend(await case.deed(place))

        group.start_soon(provoke)
        window = await place.talk(plan.seconds, plan.rate_per_s)
    return window, spans


def _round(quiet: Window, disturbed: Window, spans: list[Span], first_kib: int) -> Round:
    waits = disturbed.latencies_ms()
    return Round(
        two(quiet.latencies_ms()),
        two(disturbed.latencies_ms(spans)),
        two(sorted(one.overtaken for one in disturbed.said)),
        (disturbed.rss_kib - first_kib) / 1024,
        waits[-1] if spans and waits else 0.0,
        quiet.unanswered + disturbed.unanswered,
    )


def _broken(report: Report, disturbed: list[tuple[str, tuple[int, str]]]) -> list[str]:
    unanswered = sum(one.unanswered for one in report.rounds)
    rules = {
        f"p99 is {report.times:.2f} times that of quiet": not report.times <= TIMES,
        f"{unanswered} messages were not answered": unanswered > 0,
        "nobody was told": not report.alarm,
        f"others were disturbed: {disturbed[:5]}": bool(disturbed),
        f"memory grew by {report.grown_mib:.0f} MiB": report.grown_mib > MIB_PER_BOT,
    }
    return [text for text, broken in rules.items() if broken]


def two(ordered: list[float]) -> tuple[float, float]:
    """Return p50 and p99 of figures in order."""
    if not ordered:
        return (float("nan"), float("nan"))
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
