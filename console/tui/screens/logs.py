"""The log of the whole fleet, or of the bots that were marked."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from console.tui import words
from console.tui.screen import ConsoleScreen
from console.tui.sources import LogSource
from console.tui.widgets.header import Header
from console.tui.widgets.key_line import KeyLine
from console.tui.widgets.log_pane import LogPane


def title_of(bot_ids: tuple[str, ...]) -> str:
    """Return whose lines these are."""
    return words.some(bot_ids) if bot_ids else "the whole fleet"


class LogsScreen(ConsoleScreen):
    """Log lines of several bots in the order of their moments."""

    IS = "logs"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="logs.back"),
        *(
            Binding(
                key,
                f"window('{window}')",
                f"Last {window}" if window else "All",
                show=False,
                id=f"logs.window_{window or 'all'}",
            )
            for key, window in (
                ("0", ""),
                ("1", "1m"),
                ("2", "5m"),
                ("3", "15m"),
                ("4", "30m"),
                ("5", "1h"),
                ("6", "1d"),
            )
        ),
    ]

    def __init__(self, bot_ids: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._bot_ids = bot_ids

    def compose(self) -> ComposeResult:
        """Header, the log, keys."""
        yield Header()
        yield LogPane(LogSource(self.console.control, self._bot_ids), title=f"log of {title_of(self._bot_ids)}")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin in the lines."""
        self.query_one(LogPane).focus_lines()

    def on_tick(self) -> None:
        """As ConsoleScreen.on_tick."""
        self.query_one(Header).update()
        self.grey()

    def where(self) -> str:
        """As ConsoleScreen.where."""
        return "Logs"

    def targets(self) -> list[str]:
        """Return the bots these lines are of, where they were chosen."""
        return list(self._bot_ids)

    def action_back(self) -> None:
        """Go back to where this was opened."""
        self.dismiss(None)

    def action_window(self, window: str) -> None:
        """Show only what was written within a time."""
        pane = self.query_one(LogPane)
        rest = [word for word in pane.filter_text.split() if not word.startswith("since:")]
        pane.set_filter(" ".join([*rest, *([f"since:{window}"] if window else [])]))
