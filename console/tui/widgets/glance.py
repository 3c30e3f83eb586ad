"""What is shown of the highlighted bot below the fleet list: its log, its events or its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import ContentSwitcher

from console.tui.screen import console_of
from console.tui.sources import EventSource, LogSource
from console.tui.widgets.figures import FiguresPane
from console.tui.widgets.log_pane import LogPane

if TYPE_CHECKING:
    from textual.timer import Timer

REST_S: Final = 0.2
"""How long the highlight rests on a bot before its lines are asked for."""


WIDE: Final = 150
"""From this width on the figures stand beside the log or the events."""


class Glance(Horizontal):
    """One of three views of a bot: "log", "events" or "figures"; "" hides it. Where there is room, the figures stand beside."""

    def __init__(self) -> None:
        super().__init__(id="glance")
        self._bot_id = ""
        self._what = "log"
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """The three views."""
        with ContentSwitcher(initial="glance-log"):
            yield LogPane(id="glance-log")
            yield LogPane(kind="events", id="glance-events")
        yield FiguresPane()

    def on_resize(self) -> None:
        """Put the figures beside the lines, or in their place."""
        self._arrange()

    def _arrange(self) -> None:
        switcher, figures = self.query_one(ContentSwitcher), self.query_one(FiguresPane)
        switcher.display = self._what != "figures"
        figures.display = self._what == "figures" or self.size.width >= WIDE
        figures.set_class(switcher.display, "-beside")

    def choose(self, what: str) -> None:
        """Show another view."""
        self._what = what if what in {"log", "events", "figures", ""} else "log"
        self.display = bool(self._what)
        if self._what in {"log", "events"}:
            self.query_one(ContentSwitcher).current = f"glance-{self._what}"
        self._arrange()
        self._ask()

    def show(self, bot_id: str) -> None:
        """Show another bot, as soon as the highlight rests on it."""
        self._bot_id = bot_id
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(REST_S, self._ask)

    def _ask(self) -> None:
        """Follow what is seen, and nothing else."""
        control, bot_id = console_of(self).control, self._bot_id
        bots = (bot_id,) if bot_id else ()
        for what, kind, name in (("log", LogSource, "log"), ("events", EventSource, "events")):
            source = kind(control, bots) if bots and self._what == what else None
            self.query_one(f"#glance-{what}", LogPane).show(source, title=f"{bot_id} {name}" if bots else "")
        self.update()

    def update(self) -> None:
        """Bring the figures up to date, where they are seen."""
        figures = self.query_one(FiguresPane)
        if self._what and figures.display:
            figures.show(self._bot_id)
