"""The figures of one bot: as they are now, and where there is room drawn over the last hour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text
from textual.containers import Vertical
from textual.widget import Widget

from config.errors import FleetError
from console.tui import underway, words
from console.tui.columns import amiss, phase_cell, uptime_s
from console.tui.screen import console_of
from console.tui.widgets.chart import Chart, chart_glyphs
from console.tui.widgets.series import messages, times, tokens

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.control import AnsweringRow, LiveRow

DRAWN_FROM: Final = 24
"""From this height on there is room for charts below the words."""
SPAN_S: Final = 3600
STEP_S: Final = 60
AGAIN_S: Final = 15.0
ANSWERING_S: Final = 1.0


class FiguresPane(Vertical):
    """Words, and three charts where there is room. Nothing is asked of the fleet for charts that are not seen."""

    def __init__(self) -> None:
        super().__init__(id="glance-figures")
        self._bot_id = ""
        self._drawn: tuple[str, float] = ("", 0.0)
        self._asked_at = 0.0

    def compose(self) -> ComposeResult:
        """The words above the charts."""
        glyphs = chart_glyphs(console_of(self).memory)
        yield FiguresView()
        yield Chart("messages/min", words.rate, glyphs=glyphs, id="glance-messages")
        yield Chart("turn time", words.seconds, glyphs=glyphs, id="glance-turns")
        yield Chart("tokens/min", words.count, glyphs=glyphs, id="glance-tokens")

    def on_resize(self) -> None:
        """Show the charts where they fit."""
        self.set_class(self.size.height >= DRAWN_FROM, "-drawn")

    def show(self, bot_id: str) -> None:
        """Show a bot as it is now; "" shows that there is none."""
        app = console_of(self)
        self._bot_id = bot_id
        row = app.model.rows.get(bot_id)
        view, now = self.query_one(FiguresView), app.clock.monotonic()
        view.show(row)
        if row is not None and row["in_turn"] and now - self._asked_at >= ANSWERING_S and app.link.can("answering"):
            self._asked_at = now
            self.run_worker(self._ask(), name="answering", group="answering", exclusive=True, exit_on_error=False)
        if bot_id and self.has_class("-drawn") and (bot_id != self._drawn[0] or now - self._drawn[1] >= AGAIN_S):
            self._drawn = (bot_id, now)
            self.run_worker(self._draw(), name="figures", group="figures", exclusive=True, exit_on_error=False)

    async def _ask(self) -> None:
        bot_id = self._bot_id
        try:
            rows = await console_of(self).control.answering(bot_id)
        except FleetError:
            return
        self.query_one(FiguresView).tell(bot_id, rows)

    async def _draw(self) -> None:
        app, bot_id = console_of(self), self._bot_id
        until = app.now()
        try:
            series: Any = await app.control.series(bot_id, since=until - SPAN_S, until=until, step_s=STEP_S)
        except FleetError:
            return  # the header says what is wrong with the link; what was drawn stays
        if bot_id != self._bot_id:
            return
        ends = ("1 h ago", "now")
        for name, lines in (
            ("messages", messages(series["names"], 60 / STEP_S)),
            ("turns", times(series["names"], "turn_s")),
            ("tokens", tokens(series["names"], 60 / STEP_S)),
        ):
            self.query_one(f"#glance-{name}", Chart).show(lines, ends)


class FiguresView(Widget):
    """The figures of one bot as they are now, in words."""

    def __init__(self) -> None:
        super().__init__()
        self._row: LiveRow | None = None
        self._answering: tuple[str, list[AnsweringRow]] = ("", [])

    def tell(self, bot_id: str, answering: list[AnsweringRow]) -> None:
        """Tell who was being answered by a bot a moment ago."""
        self._answering = (bot_id, answering)
        self.refresh()

    def show(self, row: LiveRow | None) -> None:
        """Show a bot; None shows that there is none."""
        self._row = row
        self.refresh()

    def render(self) -> Text:
        """Return the lines."""
        row = self._row
        if row is None:
            return Text("No bot is highlighted", justify="center")
        app = console_of(self)
        phase, _ = phase_cell(row, app.now(), app.glyphs)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f" {row['bot_id']} ", "bold")
        text.append(f" {phase} for {words.ago(uptime_s(row, app.now()))}\n\n")
        bot_id, answering = self._answering
        now = answering if bot_id == row["bot_id"] and row["in_turn"] else []
        for label, value in _figures(row, app.glyphs.bars, now):
            text.append(f" {label:<18}", "dim")
            text.append(f"{value}\n")
        return text


def _figures(row: LiveRow, bars: str, answering: list[AnsweringRow]) -> Iterator[tuple[str, str]]:
    """Yield what is told of a bot, and its value in words."""
    figures = row["figures"]
    reason = [words.one_line(row["phase_reason"])] if row["phase_reason"] else []
    yield "trouble", "; ".join([*reason, *amiss(row)]) or "none"
    trend = f"{words.spark(figures['trend'], 20, bars)}  last 5 minutes"
    lately = trend if any(figures["trend"]) else "none in the last 5 minutes"
    yield "messages a minute", f"{words.rate(figures['per_min']):<8}{lately}"
    half, most = words.seconds(figures["turn_p50_s"]), words.seconds(figures["turn_p95_s"])
    yield "time of a turn", f"half within {half}, 19 of 20 within {most}"
    work = f"{row['in_turn']} in work, {row['outbox_open']} to be sent"
    yield "waiting", f"{row['inbox_open']} in the inbox, {work}"
    if answering:
        yield "now", underway.all_of(answering)
    yield "errors", f"{figures['errors_1h']} in the last hour, {words.plural(row['restarts'], 'restart')}"
    yield "today", f"{words.count(figures['tokens_today'])} tokens, {words.money(figures['cost_today'])}"
