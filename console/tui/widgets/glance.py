"""What is shown of the highlighted bot below the fleet list: its log, its events or its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from console.tui import words
from console.tui.columns import amiss, phase_cell, uptime_s
from console.tui.screen import console_of
from console.tui.sources import EventSource, LogSource
from console.tui.widgets.log_pane import LogPane

if TYPE_CHECKING:
    from textual.timer import Timer

    from console.control import LiveRow

REST_S: Final = 0.2
"""How long the highlight rests on a bot before its lines are asked for."""


class Glance(Vertical):
    """One of three views of a bot: "log", "events" or "figures"; "" hides it."""

    def __init__(self) -> None:
        super().__init__(id="glance")
        self._bot_id = ""
        self._what = "log"
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """The three views, one of them seen."""
        with ContentSwitcher(initial="glance-log"):
            yield LogPane(id="glance-log")
            yield LogPane(kind="events", id="glance-events")
            yield FiguresView(id="glance-figures")

    def choose(self, what: str) -> None:
        """Show another view."""
        self._what = what if what in {"log", "events", "figures", ""} else "log"
        self.display = bool(self._what)
        if self._what:
            self.query_one(ContentSwitcher).current = f"glance-{self._what}"
        self._ask()

    def show(self, bot_id: str) -> None:
        """Show another bot, as soon as the highlight rests on it."""
        self._bot_id = bot_id
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(REST_S, self._ask)

    def _ask(self) -> None:
        """Follow what is seen, and nothing else."""
        control, bot_id = console_of(self).control, self._bot_id
        bots = (bot_id,) if bot_id else ()
        for what, kind, name in (("log", LogSource, "log"), ("events", EventSource, "events")):
            source = kind(control, bots) if bots and self._what == what else None
            self.query_one(f"#glance-{what}", LogPane).show(source, title=f"{bot_id} {name}" if bots else "")
        self.update()

    def update(self) -> None:
        """Bring the figures up to date, where they are seen."""
        if self._what == "figures":
            self.query_one(FiguresView).show(console_of(self).model.rows.get(self._bot_id))


class FiguresView(Widget):
    """The figures of one bot as they are now."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._row: LiveRow | None = None

    def show(self, row: LiveRow | None) -> None:
        """Show a bot; None shows that there is none."""
        self._row = row
        self.refresh()

    def render(self) -> Text:
        """Return the lines."""
        row = self._row
        if row is None:
            return Text("No bot is highlighted", justify="center")
        app, figures = console_of(self), row["figures"]
        busy = any(figures["trend"])
        bars = (
            f"{words.spark(figures['trend'], 20, app.glyphs.bars)}  last 5 minutes"
            if busy
            else "none in the last 5 minutes"
        )
        phase, _ = phase_cell(row, app.now(), app.glyphs)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f" {row['bot_id']} ", "bold")
        text.append(f" {phase} for {words.ago(uptime_s(row, app.now()))}\n\n")
        for label, value in (
            (
                "trouble",
                "; ".join([*([words.one_line(row["phase_reason"])] if row["phase_reason"] else []), *amiss(row)])
                or "none",
            ),
            ("messages a minute", f"{words.rate(figures['per_min']):<8}{bars}"),
            (
                "time of a turn",
                f"half within {words.seconds(figures['turn_p50_s'])}, 19 of 20 within {words.seconds(figures['turn_p95_s'])}",
            ),
            ("waiting", f"{row['inbox_open']} in the inbox, {row['in_turn']} in work, {row['outbox_open']} to be sent"),
            ("errors", f"{figures['errors_1h']} in the last hour, {row['restarts']} restarts"),
            ("today", f"{words.count(figures['tokens_today'])} tokens, {words.money(figures['cost_today'])}"),
        ):
            text.append(f" {label:<18}", "dim")
            text.append(f"{value}\n")
        return text
