"""From what the fleet keeps of its measures to the lines of a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.style import Style

from console.tui.widgets.chart import Line

GREEN, RED, BLUE, YELLOW = (Style(color=name) for name in ("green", "red", "bright_blue", "yellow"))


def messages(names: Mapping[str, Any], per_min: float) -> tuple[Line, ...]:
    """Return what came in and what was answered; per_min makes a step's count one of a minute."""
    came, answered = scaled(names, "messages", "count", per_min), scaled(names, "replies", "count", per_min)
    return (Line("in", came, BLUE), Line("answered", answered, GREEN))


def tokens(names: Mapping[str, Any], per_min: float) -> tuple[Line, ...]:
    """Return the tokens read and written, as `messages`."""
    read, written = scaled(names, "tokens_in", "total", per_min), scaled(names, "tokens_out", "total", per_min)
    return (Line("in", read, BLUE), Line("out", written, YELLOW))


def scaled(names: Mapping[str, Any], name: str, what: str, factor: float) -> Sequence[float | None]:
    """Return one column of a counter; a step without a row counted nothing."""
    values = names.get(name, {}).get(what, ())
    if all(value is None for value in values):
        return ()
    return [(value or 0) * factor for value in values]


def times(names: Mapping[str, Any], name: str) -> tuple[Line, ...]:
    """Return the lines of a measured time: median and 95th percentile where they are kept, else mean and longest."""
    row = names.get(name, {})
    if row.get("p95"):
        return (Line("p95", row["p95"], YELLOW), Line("p50", row.get("p50", ()), GREEN))
    counts, totals = row.get("count", ()), row.get("total", ())
    means = [t / c if c and t is not None else None for c, t in zip(counts, totals, strict=False)]
    return (Line("longest", row.get("max", ()), YELLOW), Line("mean", means, GREEN))
