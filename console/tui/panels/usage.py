"""What bots spent: tokens and dollars, by day, chat, person, model or bot. A price that is not known is said, never 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from config.errors import FleetError
from console.tui import words
from console.tui.screen import console_of
from console.tui.widgets.cells import fitted

if TYPE_CHECKING:
    from textual.app import ComposeResult

AGAIN_S: Final = 15.0
DAYS: Final = (1, 7, 30)
BY: Final = ("day", "chat", "user", "model")
BY_BOT: Final = "bot"
SHOWN: Final = 200
"""Lines, the days apart: those that took most tokens."""
NARROW: Final = 72
LEAST: Final = 0.001
"""Dollars; below it a cost would be written as nothing."""


@dataclass(frozen=True, slots=True)
class Spent:
    """One line. cost is in dollars, of the calls whose price is known, None when none is; unpriced counts the others."""

    bot_id: str
    key: str
    calls: int
    tokens_in: int
    cached: int
    tokens_out: int
    cost: float | None
    unpriced: int

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.tokens_in + self.tokens_out


class UsagePanel(VerticalScroll):
    """A table of what some bots spent (none = the whole fleet). `look` brings it up to date, as often as one likes."""

    DEFAULT_CSS = """
    UsagePanel { padding: 0 1; }
    UsagePanel > Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "days(-1)", "Fewer days", id="usage.fewer"),
        Binding("right", "days(1)", "More days", id="usage.more"),
        Binding("v", "by(1)", "Sum by something else", id="usage.by"),
        Binding("V", "by(-1)", "Sum by what was before", show=False, id="usage.by_before"),
    ]
    can_focus = True

    def __init__(self, bots: Sequence[str] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._bots = list(bots)
        self._kinds = BY if len(bots) == 1 else (BY_BOT, *BY)
        self._by, self._days = self._kinds[0], DAYS[1]
        self._rows: list[Spent] | None = None
        self._why = ""
        self._asked_at: float | None = None

    def compose(self) -> ComposeResult:
        """Hold one text."""
        yield Static(id="spent", markup=False)

    def on_mount(self) -> None:
        """Say that it is being read."""
        self._draw()

    def on_resize(self) -> None:
        """Fit the columns."""
        self._draw()

    def action_days(self, step: int) -> None:
        """Look at fewer days, or more."""
        self._choose(self._by, DAYS[max(0, min(DAYS.index(self._days) + step, len(DAYS) - 1))])

    def action_by(self, step: int) -> None:
        """Sum by something else."""
        self._choose(self._kinds[(self._kinds.index(self._by) + step) % len(self._kinds)], self._days)

    def _choose(self, by: str, days: int) -> None:
        if (by, days) != (self._by, self._days):
            self._by, self._days, self._rows, self._why, self._asked_at = by, days, None, "", None
            self._draw()
            self.look()

    def look(self) -> None:
        """Read anew, now and then."""
        now = console_of(self).clock.monotonic()
        if self._asked_at is None or now - self._asked_at >= AGAIN_S:
            self._asked_at = now
            self.run_worker(self._read(), name="usage", group="usage", exclusive=True, exit_on_error=False)

    async def _read(self) -> None:
        by, days = self._by, self._days
        try:
            # Each bot's models are the fewest rows that add up to what it spent.
            asked = "model" if by == BY_BOT else by
            rows = await console_of(self).control.usage(self._bots, by=asked, days=days)
        except FleetError as error:
            self._why = error.message
        else:
            self._rows, self._why = together(rows, by), ""
        self._draw()

    def _draw(self) -> None:
        text = choices(self._kinds, self._by, self._days)
        if self._rows is not None:
            text.append_text(table(self._rows, self._by, max(40, self.size.width - 4)))
        elif self._why:
            text.append(f"The usage cannot be read: {words.one_line(self._why)}", "bold red")
        else:
            text.append("reading …", "dim")
        self.query_one("#spent", Static).update(text)


def choices(kinds: Sequence[str], by: str, days: int) -> Text:
    """Return what may be chosen, the chosen in brackets."""
    shown = [f"[{n} d]" if n == days else f" {n} d " for n in DAYS]
    text = Text(" ".join(shown), "bold").append("  ← →      ", "dim")
    text.append(" ".join(f"[{kind}]" if kind == by else f" {kind} " for kind in kinds), "bold")
    return text.append("  v\n\n", "dim")


def together(rows: Iterable[Mapping[str, Any]], by: str) -> list[Spent]:
    """Return lines of what is summed by: days and models over all bots, chats and people of each; days newest first."""
    lines: dict[tuple[str, str], Spent] = {}
    for row in rows:
        key = (
            "" if by in {"day", "model"} else row["bot_id"],
            row["bot_id"] if by == BY_BOT else row["key"],
        )
        one = Spent(
            *key, row["calls"], row["tokens_in"], row["tokens_cached"], row["tokens_out"], row["cost"], row["unpriced"]
        )
        lines[key] = _sum(lines[key], one) if key in lines else one
    if by == "day":
        return sorted(lines.values(), key=lambda one: one.key, reverse=True)
    return sorted(lines.values(), key=lambda one: one.tokens, reverse=True)


def _sum(one: Spent, other: Spent) -> Spent:
    known = [cost for cost in (one.cost, other.cost) if cost is not None]
    return Spent(
        one.bot_id, one.key, one.calls + other.calls, one.tokens_in + other.tokens_in, one.cached + other.cached,
        one.tokens_out + other.tokens_out, sum(known) if known else None, one.unpriced + other.unpriced,
    )  # fmt: skip


def table(lines: Sequence[Spent], by: str, width: int) -> Text:
    """Return lines as a table with their sum at the bottom, and what is to be said of it."""
    if not lines:
        return Text("Nothing was spent in this time.", "dim")
    total = lines[0]
    for one in lines[1:]:
        total = _sum(total, one)
    named = by in {"chat", "user"} and len({one.bot_id for one in lines}) > 1
    first = max(16, min(44, width - NARROW + 24)) - (14 if named else 0)
    text = Text(
        _row(("bot" if named else "", by, "calls", "in", "cached", "out", "cost"), first, named=named), "dim bold"
    )
    for one in lines[:SHOWN]:
        text.append("\n" + _row(_cells(one), first, named=named))
    if len(lines) > SHOWN:
        text.append(f"\n… and {len(lines) - SHOWN} more, which took less", "dim")
    text.append("\n" + _row(("", "total", *_cells(total)[2:]), first, named=named), "bold")
    if total.unpriced:
        text.append(
            f"\n\nThe price of {words.plural(total.unpriced, 'call')} is not known: their cost is not in these sums."
            " [[prices]] in fleet.toml says what later ones cost.",
            "yellow",
        )
    return text


def _cells(one: Spent) -> tuple[str, ...]:
    tokens = (words.count(number) for number in (one.calls, one.tokens_in, one.cached, one.tokens_out))
    return (one.bot_id, words.one_line(one.key) or "-", *tokens, dollars(one))


def dollars(one: Spent) -> str:
    """Return a cost: unknown where no price is known, "+ ?" where some is not."""
    if one.cost is None:
        return "unknown"
    least = 0 < one.cost < LEAST
    return f"{f'<${LEAST}' if least else words.money(one.cost)}{' + ?' if one.unpriced else ''}"


def _row(cells: Sequence[str], first: int, *, named: bool) -> str:
    bot, key, *figures, cost = cells
    tokens = "".join(fitted(figure, 8, right=True) for figure in figures)
    return f"{fitted(bot, 13) + ' ' if named else ''}{fitted(key, first)}{tokens}{fitted(cost, 13, right=True)}"
