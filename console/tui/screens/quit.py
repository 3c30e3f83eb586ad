"""Leaving the console of a fleet of this very process: what is to become of the bots?"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from console.tui import words
from console.tui.app import Leave
from console.tui.screen import console_of

AT_WORK = ("starting", "running", "backoff")
"""Phases of bots that would be stopped."""


class QuitScreen(ModalScreen[None]):
    """Detach, stop, or stay. Begins on staying."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c", "choose('stay')", "Stay", id="quit.stay"),
        Binding("d", "choose('detach')", "Detach", id="quit.detach"),
        Binding("s", "choose('stop')", "Stop all", id="quit.stop"),
    ]

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        app = console_of(self)
        running = sum(row["phase"] in AT_WORK for row in app.model.rows.values())
        options = [Option("Cancel    c  stay here", id="stay")]
        if app.may_detach:
            options.append(Option("Detach    d  the bots go on; `botdeck attach` comes back", id="detach"))
        options.append(Option("Stop all  s  turns in work are finished, then it ends", id="stop"))
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Leave the console?"
            yield Label(f"{words.plural(running, 'bot runs', 'bots run')} in this process.", markup=False)
            yield OptionList(*options, markup=False)

    def on_mount(self) -> None:
        """Begin where a hasty Enter does no harm."""
        self.query_one(OptionList).highlighted = 0
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose(event.option.id or "stay")

    def action_choose(self, what: str) -> None:
        """Leave that way, or stay."""
        app = console_of(self)
        if what == "stop":
            app.exit(Leave.STOP)
        elif what == "detach" and app.may_detach:
            app.exit(Leave.DETACH)
        elif what == "stay":
            self.dismiss(None)
