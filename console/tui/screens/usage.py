"""What the fleet spent, or the marked bots."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Static

from console.tui import words
from console.tui.panels.usage import UsagePanel
from console.tui.screen import ConsoleScreen
from console.tui.widgets.header import Header
from console.tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from textual.app import ComposeResult


class UsageScreen(ConsoleScreen):
    """One table."""

    IS = "usage"
    DEFAULT_CSS = """
    UsageScreen #whose { height: 1; padding: 0 1; background: $panel; text-style: bold; }
    UsageScreen UsagePanel { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back", id="usage.back")]

    def __init__(self, bot_ids: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._bot_ids = bot_ids

    def compose(self) -> ComposeResult:
        """Whose it is, and the table."""
        yield Header()
        yield Static(
            f"what {words.some(self._bot_ids) if self._bot_ids else 'the whole fleet'} spent", id="whose", markup=False
        )
        yield UsagePanel(self._bot_ids)
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin in the table."""
        self.query_one(UsagePanel).focus()

    def on_tick(self) -> None:
        """As ConsoleScreen.on_tick."""
        self.query_one(Header).update()
        self.grey()
        self.query_one(UsagePanel).look()

    def where(self) -> str:
        """As ConsoleScreen.where."""
        return "Usage"

    def targets(self) -> list[str]:
        """The bots it is of."""
        return list(self._bot_ids)

    def action_back(self) -> None:
        """Go back to where this was opened."""
        self.dismiss(None)
