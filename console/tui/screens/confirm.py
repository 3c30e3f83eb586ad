"""Asking before something is done that somebody may regret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from console.tui import words
from console.tui.actions import Confirm, OperatorAction


class ConfirmScreen(ModalScreen[bool]):
    """Lists what it concerns; begins on Cancel. Where data goes, the bot's id is to be typed, or how many bots."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel"),
        Binding("left,right", "other", "Other button", show=False, id="dialog.other"),
    ]

    def __init__(self, action: OperatorAction, bot_ids: Sequence[str]) -> None:
        super().__init__()
        self._action = action
        self._bot_ids = bot_ids
        self._word = ""
        if action.confirm is Confirm.TYPED:
            self._word = bot_ids[0] if len(bot_ids) == 1 else f"{len(bot_ids)} bots"

    def compose(self) -> ComposeResult:
        """What is asked, whom it concerns, what it means, and the answers."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"{self._action.title} {words.plural(len(self._bot_ids), 'bot')}?"
            with VerticalScroll(classes="targets", can_focus=False):
                yield Label(", ".join(self._bot_ids), markup=False)
            yield Label(self._action.consequence, markup=False, classes="danger" if self._word else "hint")
            if self._word:
                yield Input(placeholder=f"type {self._word} to go on", compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(
                    self._action.title,
                    id="yes",
                    variant="error" if self._word else "primary",
                    compact=True,
                    disabled=bool(self._word),
                )

    def on_mount(self) -> None:
        """Begin where a hasty Enter does no harm."""
        self.query_one("#cancel" if not self._word else Input).focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = event.value.strip() != self._word

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if event.value.strip() == self._word:
            self.query_one("#yes").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_cancel(self) -> None:
        """Do nothing."""
        self.dismiss(False)

    def action_other(self) -> None:
        """Go to the other button."""
        self.focus_next("Button")
