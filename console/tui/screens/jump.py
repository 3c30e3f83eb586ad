"""`:` and a name: go to a bot, to a screen, or to the bots of a phase."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from config.vocabulary import Phase
from console.tui.palette import Entry, best
from console.tui.screen import console_of
from console.tui.widgets.filter_bar import HistoryInput


class JumpScreen(ModalScreen[None]):
    """A line to type into; Tab completes to the first of what fits, up and down recall what was typed before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False, id="jump.cancel"),
        Binding("tab", "complete", "Complete", show=False, priority=True, id="jump.complete"),
    ]

    def compose(self) -> ComposeResult:
        """The line, and what fits it."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Go to"
            yield HistoryInput("jump", "a bot, fleet, logs, events, usage, help, or a phase")
            yield Label("", markup=False, classes="hint")

    def on_mount(self) -> None:
        """Take keys."""
        self.query_one(HistoryInput).begin("")
        self._fit("")

    def _fitting(self, typed: str) -> list[Entry]:
        exact = [entry for entry in self._places() if entry.name == typed.strip()]
        return exact or best(self._places(), typed)

    def _places(self) -> list[Entry]:
        app = console_of(self)
        screens = [
            Entry("fleet", "", app.go_home),
            Entry("logs", "", app.action_logs),
            Entry("events", "", app.action_events),
            Entry("usage", "", app.action_usage),
            Entry("help", "", app.action_help),
        ]
        bots = [Entry(bot_id, "", partial(app.open_bot, bot_id)) for bot_id in app.model.rows]
        phases = [Entry(phase, "", partial(app.show_filtered, f"phase:{phase}")) for phase in Phase]
        return [*screens, *bots, *phases]

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._fit(event.value)

    def _fit(self, typed: str) -> None:
        names = [entry.name for entry in self._fitting(typed)[:8]]
        self.query_one(Label).update("  ".join(names) or "nothing fits")

    def action_complete(self) -> None:
        """Put in the first of what fits."""
        fitting = self._fitting(self.query_one(HistoryInput).value)
        if fitting:
            self.query_one(HistoryInput).begin(fitting[0].name)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        fitting = self._fitting(event.value) if event.value.strip() else []
        if not fitting:
            return
        app = console_of(self)
        app.memory.typed("jump", fitting[0].name)
        self.dismiss(None)
        app.call_next(fitting[0].choose)

    def action_cancel(self) -> None:
        """Stay."""
        self.dismiss(None)
