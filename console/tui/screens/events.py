"""What happened in the fleet, and who did it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from console.tui.screen import ConsoleScreen
from console.tui.screens.logs import title_of
from console.tui.sources import EventSource
from console.tui.widgets.header import Header
from console.tui.widgets.key_line import KeyLine
from console.tui.widgets.log_pane import LogPane


class EventsScreen(ConsoleScreen):
    """Events and orders, the newest last."""

    IS = "events"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="events.back"),
        Binding("b", "bot", "Open the bot", id="events.bot"),
        Binding("O", "orders", "Orders only", id="events.orders"),
    ]

    def __init__(self, bot_ids: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._bot_ids = bot_ids

    def compose(self) -> ComposeResult:
        """Header, the events, keys."""
        yield Header()
        yield LogPane(
            EventSource(self.console.control, self._bot_ids), title=f"what happened to {title_of(self._bot_ids)}"
        )
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
        return "Events"

    def targets(self) -> list[str]:
        """Return the bot of the event the keys are at."""
        bot_id = self._bot()
        return [bot_id] if bot_id else []

    def _bot(self) -> str:
        pane = self.query_one(LogPane)
        number = pane.view.current
        if number is None and len(pane.lines):
            number = pane.lines.end - 1
        tag = pane.lines[number].tag if number is not None else ""
        return tag if tag in self.console.model.rows else ""

    def action_back(self) -> None:
        """Go back to where this was opened."""
        self.dismiss(None)

    def action_bot(self) -> None:
        """Show the bot of the event the keys are at."""
        bot_id = self._bot()
        if bot_id:
            self.console.open_bot(bot_id)
        else:
            self.console.say("this event is of the fleet as a whole")

    def action_orders(self) -> None:
        """Show only what somebody asked for, or everything again."""
        pane = self.query_one(LogPane)
        words = pane.filter_text.split()
        orders = "kind:OperatorActed"
        pane.set_filter(" ".join([word for word in words if word != orders] if orders in words else [*words, orders]))
