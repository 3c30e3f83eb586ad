"""One line of a log in full, with what stands below it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label

from console.tui import words
from console.tui.screen import console_of
from console.tui.widgets.log_pane import written
from console.tui.widgets.ring import Line


class WholeLine(ModalScreen[None]):
    """Shows a line wrapped; y copies it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "Close", id="whole.close"),
        Binding("y", "copy", "Copy", id="whole.copy"),
    ]

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def compose(self) -> ComposeResult:
        """When, who, what."""
        line = self._line
        with Vertical(classes="dialog wide") as dialog:
            dialog.border_title = f"{line.tag} {line.level}"
            dialog.border_subtitle = "y copies, Esc closes"
            yield Label(words.day_and_clock(line.at), markup=False, classes="hint")
            with VerticalScroll():
                yield Label(line.text + (f"\n\n{line.more}" if line.more else ""), markup=False)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Copy the line with its date."""
        console_of(self).copy(written(self._line), "one line")
