"""Asking before something is done to one person or one fact: who or what, what it means, and two answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from console.tui import words


class SureScreen(ModalScreen[str]):
    """Gives what is typed (yes where there is nothing to type), None when it is not to be done.

    wrong says of a text what is wrong with it, "" when nothing is. Begins on Cancel where the text is there already: a
    hasty Enter does no harm.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="sure.cancel"),
        Binding("left,right", "other", "Other button", show=False, id="sure.other"),
    ]

    def __init__(
        self,
        title: str,
        hint: str,
        yes: str,
        *,
        text: str = "",
        asks: str = "",
        wrong: Callable[[str], str] = lambda _: "",
    ) -> None:
        super().__init__()
        self._title, self._hint, self._yes = title, hint, yes
        self._text, self._asks, self._wrong = text, asks, wrong

    def compose(self) -> ComposeResult:
        """What it means, what is to be typed, and the answers."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = words.visible(self._title)
            yield Label(words.visible(self._hint), markup=False, classes="hint")
            if self._asks:
                yield Input(self._text, placeholder=self._asks, compact=True, select_on_focus=False)
                yield Label("", id="wrong", markup=False, classes="danger")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._yes, id="yes", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Begin where something is still to be said."""
        self._check(self._text)
        self.query_one(Input if self._asks and not self._text else "#cancel").focus()

    def _check(self, text: str) -> None:
        if self._asks:
            wrong = self._wrong(text.strip())
            self.query_one("#wrong", Label).update(wrong if text else "")
            self.query_one("#yes", Button).disabled = bool(wrong)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._check(event.value)

    @on(Input.Submitted)
    def _entered(self) -> None:
        if not self.query_one("#yes", Button).disabled:
            self.query_one("#yes").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        said = self.query_one(Input).value.strip() if self._asks else "yes"
        self.dismiss(said if event.button.id == "yes" else None)

    def action_cancel(self) -> None:
        """Do nothing."""
        self.dismiss(None)

    def action_other(self) -> None:
        """Go to the other button."""
        self.focus_next("Button")
