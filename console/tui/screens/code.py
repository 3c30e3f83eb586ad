"""A code that lets one person in, shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label

from console.tui import words
from console.tui.screen import console_of

if TYPE_CHECKING:
    from console.control import Invitation


class CodeScreen(ModalScreen[None]):
    """Shows a code until it is closed; nothing keeps it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "Close", id="code.close"),
        Binding("y", "copy", "Copy", id="code.copy"),
    ]

    def __init__(self, made: Invitation) -> None:
        super().__init__()
        self._made = made

    def compose(self) -> ComposeResult:
        """The code, how long it is good, and what is to be done with it."""
        made = self._made
        minutes = max(0.0, made["expires_at"] - console_of(self).now()) / 60
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"A code for {words.visible(made['bot_id'])}"
            dialog.border_subtitle = "y copies, Esc closes"
            yield Label(Text(words.visible(made["code"]), "bold"), markup=False, id="code")
            yield Label(
                f"\nGood once, for {minutes:.0f} minutes, until {words.clock(made['expires_at'])}. It is sent to the bot in a"
                " private chat. It is shown this once: the fleet keeps only a digest of it.",
                markup=False, classes="hint",
            )  # fmt: skip
            if made["mode"] != "pairing":
                mode = words.visible(made["mode"] or "not known")
                yield Label(
                    f"\n[access] mode is {mode}: a code counts where it is pairing.", markup=False, classes="danger"
                )

    def action_copy(self) -> None:
        """Put the code on the clipboard."""
        console_of(self).copy(self._made["code"], "the code")

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)
