"""How the console writes things down: durations, counts, money, phases. Short, so that they fit a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from config.vocabulary import Phase
from console.output import ago, visible

__all__ = [
    "GLYPHS", "PLAIN_GLYPHS", "Glyphs", "ago", "clip", "clock", "count", "day_and_clock", "money", "one_line",
    "phase_role", "plural", "rate", "seconds", "some", "spark", "visible",
]  # fmt: skip

NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs a screen is drawn with; every one is a single cell wide."""

    phases: dict[str, str]
    paused: str
    unknown: str
    mark: str
    trouble: str
    up: str
    down: str
    bars: str
    more: str
    writing: str


GLYPHS: Final = Glyphs(
    phases={
        Phase.RUNNING: "●",
        Phase.STARTING: "◐",
        Phase.QUEUED: "◌",
        Phase.DRAINING: "▼",
        Phase.STOPPED: "■",
        Phase.DISABLED: "–",
        Phase.INVALID: "✖",
        Phase.BACKOFF: "↻",
        Phase.QUARANTINED: "⊘",
    },
    paused="‖",
    unknown="?",
    mark="✓",
    trouble="!",
    up="▲",
    down="▼",
    bars=" ▁▂▃▄▅▆▇█",
    more="…",
    writing="✎",
)
PLAIN_GLYPHS: Final = Glyphs(
    phases={
        Phase.RUNNING: "*",
        Phase.STARTING: "+",
        Phase.QUEUED: ".",
        Phase.DRAINING: "v",
        Phase.STOPPED: "#",
        Phase.DISABLED: "-",
        Phase.INVALID: "x",
        Phase.BACKOFF: "~",
        Phase.QUARANTINED: "X",
    },
    paused="=",
    unknown="?",
    mark=">",
    trouble="!",
    up="^",
    down="v",
    bars=" .:-=+*#@",
    more=">",
    writing="&",
)
"""The same in ASCII, for fonts and terminals that lack the others."""

_ROLES: Final = {
    Phase.RUNNING: "good",
    Phase.STARTING: "busy",
    Phase.QUEUED: "busy",
    Phase.DRAINING: "busy",
    Phase.STOPPED: "quiet",
    Phase.DISABLED: "quiet",
    Phase.INVALID: "bad",
    Phase.BACKOFF: "warn",
    Phase.QUARANTINED: "bad",
}


def phase_role(phase: str) -> str:
    """Return the role (good, busy, warn, bad, quiet) a phase is drawn in; warn for one this program does not know."""
    return next((role for known, role in _ROLES.items() if known == phase), "warn")


def seconds(value: float | None) -> str:
    """Return a duration: 850ms, 1.2s, 34s, 3m, 2h; - for None."""
    if value is None:
        return NOTHING
    if value < 0.9995:
        return f"{max(0.0, value) * 1000:.0f}ms"
    return f"{value:.1f}s" if value < 9.95 else ago(value)


def count(value: float | None) -> str:
    """Return a number in at most five characters: 0, 999, 12.3k, 4.5M; - for None."""
    if value is None:
        return NOTHING
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.1f}{unit}" if scaled < 99.95 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}"


def rate(value: float | None) -> str:
    """Return events a minute: 0, 0.4, 12, 3.1k; - for None."""
    if value is None:
        return NOTHING
    return f"{value:.1f}" if 0 < value < 9.95 and round(value, 1) != round(value) else count(value)


def money(value: float | None) -> str:
    """Return US dollars: $0, $0.004, $1.23, $1.2k; - where the price is not known."""
    if value is None:
        return NOTHING
    if value == 0:
        return "$0"
    if value < 0.0995:
        return f"${value:.3f}"
    return f"${value:.2f}" if value < 999.5 else f"${count(value)}"


def spark(values: Sequence[float], width: int, bars: str, *, top: float = 0) -> str:
    """Return the last `width` values as bars, newest at the right; `top` is what a full bar stands for at least."""
    shown = values[-width:]
    highest = max(top, *shown) if shown else 0
    if highest <= 0:
        return " " * width
    steps = len(bars) - 1
    drawn = "".join(bars[0 if v <= 0 else max(1, round(v / highest * steps))] for v in shown)
    return drawn.rjust(width)


def clock(at: float) -> str:
    """Return the local time of day of a moment, to the second."""
    return f"{datetime.fromtimestamp(at, tz=UTC).astimezone():%H:%M:%S}"


def day_and_clock(at: float) -> str:
    """Return the local date and time of a moment."""
    return f"{datetime.fromtimestamp(at, tz=UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def clip(text: str, width: int, more: str = "…") -> str:
    """Return text cut to a width in characters, a sign at the end where something is missing."""
    if len(text) <= width:
        return text
    return text[: width - 1] + more if width > 0 else ""


def one_line(text: str) -> str:
    """Return a stranger's text on one line, fit for a terminal: controls made visible, ends of lines as blanks."""
    return visible(" ".join(text.split()) if "\n" in text or "\r" in text or "\t" in text else text)


def plural(number: int, one: str, many: str = "") -> str:
    """Return "1 bot", "3 bots"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def some(names: Sequence[str], limit: int = 3) -> str:
    """Return the first names, and how many more there are: "a, b, c and 4 more"."""
    rest = len(names) - limit
    if rest <= 0:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {rest} more"
