"""What there is to measure of a fleet, as Prometheus reads it (text format 0.0.4).

Bots are looked at some at a time, the loop is free in between; then every family is one page.
"""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from config.vocabulary import Phase
from workers.status import BotStatus

if TYPE_CHECKING:
    from console.runtime import Fleet

SLICE: Final = 20
"""Bots looked at before somebody else has a turn: about a millisecond."""
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})

Value = float | int | None
Pages = defaultdict[str, list[str]]
"""Name of a family → its lines."""


class Family(NamedTuple):
    """One name of Prometheus: what it is, and what of a bot's status it shows."""

    name: str
    kind: str
    help: str
    of: Callable[[BotStatus], Value]


_STATUS: Final = (
    Family("up", "gauge", "Whether the bot runs.", lambda s: int(s.phase is Phase.RUNNING)),
    Family(
        "as_wanted", "gauge", "Whether the bot is where its operator and its file want it.", lambda s: int(s.as_wanted)
    ),
    Family("paused", "gauge", "Whether the bot takes no messages.", lambda s: int(s.paused)),
    Family("inbox", "gauge", "Messages that wait for their turn.", attrgetter("inbox_open")),
    Family("inbox_age_seconds", "gauge", "How long the oldest of them has waited.", attrgetter("inbox_age_s")),
    Family("outbox", "gauge", "Sends that have not left.", attrgetter("outbox_open")),
    Family("in_turn", "gauge", "Messages being answered.", attrgetter("in_turn")),
    Family("last_poll_age_seconds", "gauge", "Since the bot's server answered a poll.", attrgetter("last_poll_age_s")),
    Family("turns_total", "counter", "Messages answered, over all processes.", attrgetter("turns")),
    Family("errors_total", "counter", "Turns without an answer, over all processes.", attrgetter("errors")),
    Family("restarts_total", "counter", "Restarts after a failure, over all processes.", attrgetter("restarts")),
    Family("ambiguous_sends_total", "counter", "Sends that may have been done or not.", attrgetter("ambiguous_sends")),
)
_COUNTED: Final = (
    ("messages_total", "messages", "Messages received since the process began."),
    ("replies_total", "replies", "Answers sent since the process began."),
    ("failed_turns_total", "errors", "Turns without an answer since the process began."),
    ("tokens_in_total", "tokens_in", "Tokens read by models since the process began."),
    ("tokens_out_total", "tokens_out", "Tokens written by models since the process began."),
    ("tool_errors_total", "tool_errors", "Calls of tools without a result since the process began."),
)
"""Name of Prometheus, name in workers/metrics.py, help."""
_TIMED: Final = (
    ("turn_seconds", "turn_s", "From reading a message to its answer, sending not included."),
    ("model_seconds", "model_s", "The same without what is ours: history, prompt and the model with its retries."),
)


class Exposition:
    """Encodes a fleet's measures, a page a family."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def pages(self) -> AsyncIterator[bytes]:
        """Yield the pages."""
        for page in self._of_fleet():
            yield page
        pages: Pages = defaultdict(list)
        for number, bot_id in enumerate(sorted(self._fleet.pool.bot_ids() | self._fleet.metrics.counted())):
            if number % SLICE == 0:
                await self._fleet.clock.sleep(0)
            self._look(bot_id, pages)
        for name, kind, help_text in _names():
            if name in pages:
                yield _page(f"botdeck_bot_{name}", kind, help_text, pages[name])
                await self._fleet.clock.sleep(0)

    # --- bots ------------------------------------------------------------------------------------------------------

    def _look(self, bot_id: str, pages: Pages) -> None:
        """Add the lines of one bot."""
        bot = f'{{bot="{label(bot_id)}"'
        if bot_id in self._fleet.pool:
            status = self._fleet.pool.bot(bot_id)
            pages["phase"].append(f'botdeck_bot_phase{bot},phase="{status.phase}"}} 1\n')
            for name, _, _, of in _STATUS:
                value = of(status)
                if value is not None:
                    pages[name].append(f"botdeck_bot_{name}{bot}}} {value}\n")
        metrics = self._fleet.metrics
        totals = metrics.totals(bot_id)
        for name, ours, _ in _COUNTED:
            pages[name].append(f"botdeck_bot_{name}{bot}}} {totals.get(ours, 0)}\n")
        tokens, dollars = metrics.figures.today(bot_id)
        pages["tokens_today"].append(f"botdeck_bot_tokens_today{bot}}} {tokens}\n")
        if dollars is not None:
            pages["dollars_today"].append(f"botdeck_bot_dollars_today{bot}}} {dollars}\n")
        for name, ours, _ in _TIMED:
            if ours in totals:
                pages[name].append(self._time(f"botdeck_bot_{name}", bot, bot_id, ours))

    def _time(self, full: str, bot: str, bot_id: str, ours: str) -> str:
        """Return the lines of a summary."""
        metrics = self._fleet.metrics
        totals = metrics.totals(bot_id)
        p50, p95 = metrics.percentiles(bot_id, ours)
        return (
            f'{full}{bot},quantile="0.5"}} {p50}\n{full}{bot},quantile="0.95"}} {p95}\n'
            f"{full}_sum{bot}}} {totals[ours]}\n{full}_count{bot}}} {totals[f'{ours}.count']}\n"
        )

    # --- the fleet -------------------------------------------------------------------------------------------------

    def _of_fleet(self) -> Iterable[bytes]:
        fleet = self._fleet
        used, stats = resource.getrusage(resource.RUSAGE_SELF), fleet.store.stats
        lag = fleet.pool.loop_watch.lag()
        version = f'{{version="{label(fleet.owner.version)}"}}'
        yield _one("info", "gauge", "The botdeck that runs.", [(version, 1)])
        yield _one("start_time_seconds", "gauge", "When the process began, Unix time.", [("", fleet.owner.started_at)])
        yield _one("cpu_seconds_total", "counter", "CPU the process took.", [("", used.ru_utime + used.ru_stime)])
        phases = fleet.pool.phases()
        rows: list[tuple[str, Any]] = [(f'{{phase="{phase}"}}', phases.get(phase, 0)) for phase in Phase]
        yield _one("bots", "gauge", "Bots by phase.", rows)
        yield _one("loop_lag_seconds", "gauge", "99 of 100 steps of the loop came less late.", [("", lag.p99_s)])
        yield _one("store_pending", "gauge", "Writes that wait for the disk.", [("", stats.pending)])
        yield _one("store_fault", "gauge", "Whether the database refuses writes.", [("", int(bool(fleet.store.fault)))])
        yield _one("held", "gauge", "Whether half of the fleet fails alike.", [("", int(fleet.pool.held is not None))])
        yield _one(
            "outage",
            "gauge",
            "Whether half of the fleet cannot reach its server.",
            [("", int(bool(fleet.pool.outage)))],
        )
        yield _one("log_lines_dropped", "gauge", "Log lines the database did not take.", [("", fleet.logbook.dropped)])


def _names() -> Iterable[tuple[str, str, str]]:
    """Yield name, kind and help of every family of bots, in the order of the pages."""
    yield "phase", "gauge", "The phase the bot is in."
    yield from ((family.name, family.kind, family.help) for family in _STATUS)
    yield from ((name, "counter", help_text) for name, _, help_text in _COUNTED)
    yield "tokens_today", "gauge", "Tokens of today, by the clock of the fleet's machine."
    yield "dollars_today", "gauge", "What they cost, where every price is known."
    yield from ((name, "summary", help_text) for name, _, help_text in _TIMED)


def _one(name: str, kind: str, help_text: str, rows: Iterable[tuple[str, Any]]) -> bytes:
    full = f"botdeck_{name}"
    return _page(full, kind, help_text, [f"{full}{labels} {value}\n" for labels, value in rows])


def _page(full: str, kind: str, help_text: str, lines: list[str]) -> bytes:
    """Return a family: its lines stand together, after what it is."""
    head = f"# HELP {full} {help_text.translate(_HELP_ESCAPES)}\n# TYPE {full} {kind}\n"
    return (head + "".join(lines)).encode()


def label(text: str) -> str:
    """Return a text as it stands between the quotes of a label."""
    return text.translate(_ESCAPES)
