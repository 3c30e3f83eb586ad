"""The columns of the fleet list: what stands in each, how wide it is, and which give way first where room is short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from config.vocabulary import Phase
from console.judgement import phase_rank, troubles
from console.tui import words
from console.tui.told import told
from console.tui.words import Glyphs

if TYPE_CHECKING:
    from console.control import LiveRow

WORST: Final = "worst"
"""The order that is no column: who needs a person first."""

Cell = tuple[str, str]
"""Text and role; the role says how it is drawn ("" = as the row)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `folds` is the order of giving way (0 stays always); `grows` takes the room that is left.

    `key` of a row is what it is sorted by; None comes last. big_first: a first sort puts the largest on top.
    """

    id: str
    title: str
    width: int
    folds: int
    cell: Callable[[LiveRow, float, Glyphs], Cell]
    key: Callable[[LiveRow, float], Any]
    help: str
    right: bool = False
    big_first: bool = False
    grows: int = 0
    """How wide it may become at most; 0 = it does not grow."""


def sort_key(column: Column, now: float, *, down: bool) -> Callable[[LiveRow], tuple[bool, Any]]:
    """Return a column's key for a sort, `down` = the largest first; bots that have nothing there come last either way."""

    def key(row: LiveRow) -> tuple[bool, Any]:
        value = column.key(row, now)
        nothing = value is None or value == ""
        return (nothing != down, 0 if nothing else value)

    return key


def phase_cell(row: LiveRow, now: float, glyphs: Glyphs) -> Cell:
    """Return glyph and word of a phase; how long until the next try where one is planned."""
    phase = row["phase"]
    if row["paused"] and phase == Phase.RUNNING:
        return f"{glyphs.paused} paused", "quiet"
    glyph = glyphs.phases.get(phase, glyphs.unknown)
    wait = row["retry_at"]
    if phase == Phase.BACKOFF and wait is not None:
        return f"{glyph} {phase} {words.ago(max(0.0, wait - now))}", words.phase_role(phase)
    return f"{glyph} {words.visible(phase)}", words.phase_role(phase)


def _phase_rank(row: LiveRow, _now: float) -> int:
    return phase_rank(row["phase"])


def username(row: LiveRow) -> str:
    """Return the @username of a bot; empty when Telegram has not told it."""
    name = (row["telegram"] or {}).get("username")
    return f"@{words.visible(str(name))}" if name else ""


def uptime_s(row: LiveRow, now: float) -> float | None:
    """Return how long a bot has been in its phase."""
    return None if row["since"] is None else max(0.0, now - row["since"])


def news(row: LiveRow, now: float, glyphs: Glyphs) -> Cell:
    """Return what is to be known of a bot: its worst trouble, why it does not run, or what happened last."""
    if row["phase_reason"] and row["phase"] not in {Phase.RUNNING, Phase.STOPPED, Phase.DISABLED}:
        return words.one_line(row["phase_reason"]), words.phase_role(row["phase"])
    found = amiss(row)
    if found:
        return f"{glyphs.trouble} {found[0]}", "warn"
    event = row["figures"]["last_event"]
    return (f"{told(event)}, {words.ago(now - event['at'])} ago", "quiet") if event else ("", "")


def amiss(row: LiveRow) -> list[str]:
    """Return what is amiss beside the phase, in plain words; what a phase implies is left out."""
    implied = () if row["phase"] == Phase.RUNNING else ("not ready", "not polling")
    found = (trouble.partition(":") for trouble in troubles(row) if not trouble.startswith(implied))
    return [words.one_line(name.replace("_", " ") + colon + reason) for name, colon, reason in found]


def _number(value: float, role: str = "") -> Cell:
    return (words.count(value), role if value else "quiet")


def _traffic(row: LiveRow, _now: float, glyphs: Glyphs) -> Cell:
    return words.spark(row["figures"]["trend"], 10, glyphs.bars), "trend"


_ALL: Final[Sequence[Column]] = (
    Column("phase", "PHASE", 13, 0, phase_cell, _phase_rank, "what the bot does now"),
    Column(
        "bot", "BOT", 12, 0, lambda r, _n, _g: (r["bot_id"], "name"), lambda r, _n: r["bot_id"], "the bot's id", grows=28
    ),
    Column(
        "username", "USERNAME", 18, 9, lambda r, _n, _g: (username(r), "quiet"), lambda r, _n: username(r).lower(),
        "its name at Telegram", grows=24,
    ),
    Column(
        "uptime", "FOR", 4, 3, lambda r, n, _g: (words.ago(uptime_s(r, n)), ""), uptime_s,
        "how long it has been in this phase", right=True, big_first=True,
    ),
    Column(
        "work", "WORK", 4, 6, lambda r, _n, _g: _number(r["in_turn"]), lambda r, _n: r["in_turn"],
        "turns being answered now", right=True, big_first=True,
    ),
    Column(
        "inbox", "INBOX", 5, 2, lambda r, _n, _g: _number(r["inbox_open"], _inbox_role(r)), lambda r, _n: r["inbox_open"],
        "messages not answered yet", right=True, big_first=True,
    ),
    Column(
        "rate", "MSG/M", 5, 1, lambda r, _n, _g: (words.rate(r["figures"]["per_min"]), _idle(r["figures"]["per_min"])),
        lambda r, _n: r["figures"]["per_min"], "messages in the last minute", right=True, big_first=True,
    ),
    Column(
        "trend", "LAST 5 MIN", 10, 7, _traffic, lambda r, _n: sum(r["figures"]["trend"]),
        "messages in each quarter minute, newest at the right", big_first=True,
    ),
    Column(
        "p95", "P95", 5, 4, lambda r, _n, _g: (words.seconds(r["figures"]["turn_p95_s"]), ""),
        lambda r, _n: r["figures"]["turn_p95_s"], "19 of 20 answers took no longer", right=True, big_first=True,
    ),
    Column(
        "errors", "ERR", 4, 1, lambda r, _n, _g: _number(r["figures"]["errors_1h"], "bad"),
        lambda r, _n: r["figures"]["errors_1h"], "errors in the last hour", right=True, big_first=True,
    ),
    Column(
        "restarts", "RST", 4, 8, lambda r, _n, _g: _number(r["restarts"], "warn"), lambda r, _n: r["restarts"],
        "restarts after crashes", right=True, big_first=True,
    ),
    Column(
        "tokens", "TOKENS", 6, 10, lambda r, _n, _g: _number(r["figures"]["tokens_today"]),
        lambda r, _n: r["figures"]["tokens_today"], "tokens today, in and out", right=True, big_first=True,
    ),
    Column(
        "cost", "COST", 6, 11, lambda r, _n, _g: (words.money(r["figures"]["cost_today"]), _idle(r["figures"]["cost_today"])),
        lambda r, _n: r["figures"]["cost_today"], "US dollars today", right=True, big_first=True,
    ),
    Column(
        "news", "WHAT HAPPENED LAST", 20, 5, news, lambda r, _n: (r["figures"]["last_event"] or {"at": None})["at"],
        "trouble, or the last event", big_first=True, grows=200,
    ),
)  # fmt: skip

COLUMNS: Final[dict[str, Column]] = {column.id: column for column in _ALL}


def _inbox_role(row: LiveRow) -> str:
    age_s = row["inbox_age_s"]
    return "warn" if age_s is not None and age_s >= OLD_S else ""


def _idle(value: float | None) -> str:
    return "" if value else "quiet"


OLD_S: Final = 30.0
"""From this age of its oldest message on, an inbox is drawn as trouble."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column stands: its first cell and its width."""

    column: Column
    x: int
    width: int


def fold(width: int, longest: dict[str, int] | None = None, *, first: int = 2) -> list[Place]:
    """Return the columns that fit a width, and where they stand; the least important give way first.

    longest is the length of the longest text of columns that should not grow beyond it; `first` cells at the left
    are the mark's.
    """
    shown = list(_ALL)
    while _least(shown) > width - first and any(column.folds for column in shown):
        shown.remove(max(shown, key=lambda column: column.folds))
    spare = max(0, width - first - _least(shown))
    places, x = [], first
    for column in shown:
        limit = min(column.grows, (longest or {}).get(column.id, column.grows))
        more = min(spare, max(0, limit - column.width))
        spare -= more
        places.append(Place(column, x, column.width + more))
        x += column.width + more + 1
    return places


def _least(columns: Sequence[Column]) -> int:
    return sum(column.width + 1 for column in columns) - 1
