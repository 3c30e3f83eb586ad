"""Asking for one line: a moment, a file, a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from console.tui import words
from console.tui.widgets.filter_bar import HistoryInput

T = TypeVar("T")


class _Ask(ModalScreen[T]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False, id="ask.cancel")]

    def __init__(self, title: str, hint: str, *, kind: str, text: str = "") -> None:
        super().__init__()
        self._title, self._hint, self._kind, self._text = title, hint, kind, text

    def compose(self) -> ComposeResult:
        """A line to type into."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            if self._hint:
                yield Label(self._hint, markup=False, classes="hint")
            yield HistoryInput(self._kind)

    def on_mount(self) -> None:
        """Take keys."""
        self.query_one(HistoryInput).begin(self._text)

    def action_cancel(self) -> None:
        """Give no answer."""
        self.dismiss(None)


class AskLine(_Ask[str]):
    """Gives the line as typed, None when nothing was."""

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        self.query_one(HistoryInput).remember()
        self.dismiss(event.value.strip() or None)


class AskFolder(_Ask[Path]):
    """Gives a folder bots are exported to."""

    def __init__(self, bot_ids: Sequence[str]) -> None:
        super().__init__(
            f"Export {words.some(bot_ids)}",
            "into which folder of the fleet's machine? One file for each bot; none is overwritten.",
            kind="folder",
            text=str(Path.cwd()),
        )

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        self.query_one(HistoryInput).remember()
        self.dismiss(Path(event.value).expanduser().absolute() if event.value.strip() else None)
