"""What is shown of the highlighted bot below the fleet list: its log, its events or its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.app import ComposeResult
from textual.containers import Horizontal

from console.tui.screen import console_of
from console.tui.sources import EventSource, LogSource
from console.tui.widgets.log_pane import LogPane

if TYPE_CHECKING:
    from textual.timer import Timer

    from console.tui.widgets.figures import FiguresPane

REST_S: Final = 0.2
"""How long the highlight rests on a bot before its lines are asked for."""


WIDE: Final = 150
"""From this width on the figures stand beside the log or the events."""

SOURCES: Final[dict[str, type[LogSource | EventSource]]] = {"log": LogSource, "events": EventSource}
"""The views that are lines, and where these come from."""


class Glance(Horizontal):
    """One of three views of a bot: "log", "events" or "figures"; "" hides it. Where there is room, the figures stand beside.

    A view is made when it is seen first: each takes as much memory as a hundred bots' rows.
    """

    def __init__(self, what: str) -> None:
        super().__init__(id="glance")
        self._bot_id = ""
        self._timer: Timer | None = None
        self._panes: dict[str, LogPane] = {}
        self._figures: FiguresPane | None = None
        self._take(what)

    def compose(self) -> ComposeResult:
        """The view that is seen first, where it is one of lines; the rest needs the size."""
        if self._what in SOURCES:
            yield self._pane(self._what)

    def _pane(self, what: str) -> LogPane:
        pane = self._panes[what] = LogPane(kind=what, id=f"glance-{what}")
        return pane

    def _take(self, what: str) -> None:
        self._what = what if what in {*SOURCES, "figures", ""} else "log"
        self.display = bool(self._what)

    async def on_resize(self) -> None:
        """Put the figures beside the lines, or in their place."""
        await self._arrange()

    def choose(self, what: str) -> None:
        """Show another view."""
        self._take(what)
        self.call_next(self._turn)

    async def _turn(self) -> None:
        await self._arrange()
        self._ask()

    async def _arrange(self) -> None:
        """Show what is to be seen, made now where it was not seen before."""
        what, beside = self._what, self.size.width >= WIDE
        if what in SOURCES and what not in self._panes:
            await self.mount(self._pane(what), before=0)
        for name, pane in self._panes.items():
            pane.display = name == what
        if self._figures is None and (what == "figures" or beside):
            await self._make_figures()
        if self._figures is not None:
            self._figures.display = what == "figures" or beside
            self._figures.set_class(what != "figures", "-beside")
            self.update()

    async def _make_figures(self) -> None:
        from console.tui.widgets.figures import FiguresPane

        figures = FiguresPane()
        await self.mount(figures)
        self._figures = figures  # only now: it is brought up to date from outside

    def show(self, bot_id: str) -> None:
        """Show another bot, as soon as the highlight rests on it."""
        self._bot_id = bot_id
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(REST_S, self._ask)

    def _ask(self) -> None:
        """Follow what is seen, and nothing else."""
        control, bot_id = console_of(self).control, self._bot_id
        for what, pane in self._panes.items():
            source = SOURCES[what](control, (bot_id,)) if bot_id and self._what == what else None
            pane.show(source, title=f"{bot_id} {what}" if bot_id else "")
        self.update()

    def update(self) -> None:
        """Bring the figures up to date, where they are seen."""
        if self._what and self._figures is not None and self._figures.display:
            self._figures.show(self._bot_id)
