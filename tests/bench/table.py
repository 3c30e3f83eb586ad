"""The table of figures: what was asked for, what a peer does, what was measured. One source for print and document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.pieces import ALL, Pieces

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
Seen = dict[str, Any]


class Row(NamedTuple):
    """One figure. must and aim are the highest value let pass; lowest when more is better. read finds it in the results."""

    title: str
    unit: str
    must: float
    aim: float
    read: Callable[[Seen], float]
    peer: Callable[[Seen], str] = lambda _seen: "-"
    more_is_better: bool = False

    def holds(self, value: float, limit: float) -> bool:
        """Tell whether a value keeps a limit."""
        return value >= limit if self.more_is_better else value <= limit


PTB = "python-telegram-bot"
ROWS = (
    Row("memory a polling bot, over an empty fleet", "KiB", 100, 60, lambda s: s["rest"]["botdeck"]["kib_per_bot"],
        lambda s: f"{s['rest'][PTB]['kib_per_bot']:,.0f} (aiogram {s['rest']['aiogram']['kib_per_bot']:,.0f},"
                  f" a process each {s['rest']['one process per bot']['kib_per_bot']:,.0f})"),
    Row("all bots polling, pacing off", "s", 5, 3, lambda s: s["rest"]["botdeck"]["all_polling_s"],
        lambda s: f"{s['rest'][PTB]['all_polling_s']:g} for {s['rest'][PTB]['bots']}"
                  f" (aiogram {s['rest']['aiogram']['all_polling_s']:g})"),
    Row("CPU at rest", "%", 4, 2.5, lambda s: s["rest"]["botdeck"]["idle_cpu_percent"],
        lambda s: f"{s['rest'][PTB]['idle_cpu_percent']:g} for {s['rest'][PTB]['bots']}"
                  f" (aiogram {s['rest']['aiogram']['idle_cpu_percent']:g})"),
    Row("stop of all idle bots", "s", 3, 1.5, lambda s: s["rest"]["botdeck"]["stop_s"]),
    Row("durable echo turns, to python-telegram-bot's", "x", 2, 4, lambda s: s["turns"]["ratio to " + PTB],
        lambda s: f"{s['turns']['botdeck']:,} : {s['turns'][PTB]:,} a core-second (aiogram {s['turns']['aiogram']:,})",
        more_is_better=True),
    Row("added latency at 200 messages/s, p99", "ms", 25, 12, lambda s: s["latency"]["added_p99_ms"],
        lambda s: f"raw client {s['latency']['raw_p99_ms']:g}"),
    Row("turn at conversation length 1,000 : 10", "x", 1.2, 1.05, lambda s: s["growth"]["long to short"]),
    Row("turn at many stored rows : none", "x", 1.2, 1.05, lambda s: s["growth"]["crowded to empty"],
        lambda s: f"{s['growth']['rows']:,} rows"),
    Row("save of a file to live, p95", "ms", 150, 80, lambda s: s["edits"]["p95_ms"], lambda _s: "restart"),
    Row("all files at once to all live", "s", 3, 1.5, lambda s: s["edits"]["all in place, s"],
        lambda s: f"with a restart of each {s['edits']['all restart, s']:g}"),
    Row("streamed answer of 300 tokens, CPU", "ms", 10, 7, lambda s: s["model"]["asker, openai"]["streamed"],
        lambda s: f"official SDK {s['model']['openai SDK']['streamed']:.1f}"),
    Row("a bot looked up by a program, of 1,000", "µs", 3, 1,
        lambda s: max(s["chat"]["get_or_create_us"], s["chat"]["get_bot_us"])),
    Row("a registered bot looked up, of 1,000", "µs", 3, 1, lambda s: s["registered"]["get_bot_us"]),
    Row("1,000 bots made at once, one in 5 s: the others", "s", 1, 0.5, lambda s: s["chat"]["others_s"]),
    Row("memory a bot a program keeps", "KiB", 20, 10, lambda s: s["chat"]["kib_per_bot"]),
    Row("durable `chat()` turns a core-second, 1,000 conversations", "thousand", 2, 3,
        lambda s: min(s["chat"]["turns, 1 bot"], s["chat"]["turns, 100 bots"]) / 1000, more_is_better=True),
    Row("`chat()` at turn 1,000 : 10", "x", 1.2, 1.05, lambda s: s["chat"]["late to early"]),
    Row("HTTP chat with echo, a core-second", "turns", 700, 900, lambda s: s["http"]["per_core_s"], more_is_better=True),
    Row("HTTP chat at 200 requests/s, p99", "ms", 30, 15, lambda s: s["http"]["steady_p99_ms"]),
    Row("three minutes with 5 % bad requests: answers that fail", "", 0, 0, lambda s: s["http"]["mixed"]["failed"]),
    Row("the same: tasks left", "", 4, 4, lambda s: s["http"]["mixed"]["tasks_left"]),
    Row("the same: memory gained in one of them", "KiB", 4096, 2048, lambda s: s["http"]["mixed"]["rss_gained_kib"]),
    Row("`botdeck --help`, CPU", "ms", 150, 80, lambda s: s["edits"]["help_cpu_ms"]),
    Row("`botdeck status`, CPU", "ms", 300, 150, lambda s: s["edits"]["status_cpu_ms"]),
)  # fmt: skip


def figures_of(pieces: Pieces) -> Seen:
    """Return the figures of all pieces, by their names."""
    return {name: piece.figures for name, piece in pieces.items()}


def markdown(pieces: Pieces) -> list[str]:
    """Return the table of what was measured, rows of other pieces left out."""
    seen = figures_of(pieces)
    lines = ["| figure | beside it | must | aim | measured |", "|---|---|---|---|---|"]
    for row in ROWS:
        try:
            value, peer = row.read(seen), row.peer(seen)
        except KeyError:
            continue
        sign = ">=" if row.more_is_better else "<="
        verdict = "" if row.holds(value, row.aim) else " (must)" if row.holds(value, row.must) else " **missed**"
        lines.append(
            f"| {row.title} | {peer} | {sign} {row.must:g} {row.unit} | {row.aim:g} {row.unit}"
            f" | **{f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'} {row.unit}**{verdict} |"
        )
    return lines


def missing(pieces: Pieces) -> list[str]:
    """Return a line that says which pieces the table is without, none when it is complete."""
    left_out = [name for name in ALL if name not in pieces]
    return ["", f"Not taken, their rows left out: {', '.join(left_out)}."] if left_out else []


def missed(pieces: Pieces) -> list[str]:
    """Return the figures beyond what they must be."""
    seen, found = figures_of(pieces), []
    for row in ROWS:
        try:
            value = row.read(seen)
        except KeyError:
            continue
        if not row.holds(value, row.must):
            found.append(f"{row.title}: {value:.3g} {row.unit}, must be {row.must:g}")
    return found


def write_document(pieces: Pieces, document: Path = DOCUMENT) -> Path:
    """Put the table into docs/performance.md, with the days, places and minutes its pieces were taken; return the path."""
    shown = [pieces[name] for name in ALL if name in pieces]
    days, places = (sorted(set(found)) for found in ([p.day for p in shown], [p.where for p in shown]))
    minutes = sum(piece.took_s for piece in shown) / 60
    taken = f"Taken {' and '.join(days)} on {' and on '.join(places)}, in {minutes:.0f} minutes."
    before, _, rest = document.read_text().partition(BEGIN)
    lines = "\n".join([BEGIN, taken, "", *markdown(pieces), *missing(pieces), END])
    document.write_text(before + lines + rest.partition(END)[2])
    return document
