"""The home of the console: every bot, the one that needs a person on top, and below it what it says."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from console.tui.actions import BINDINGS
from console.tui.columns import COLUMNS, WORST
from console.tui.screen import ConsoleScreen
from console.tui.widgets.face import NOTHING, Words
from console.tui.widgets.filter_bar import FilterBar
from console.tui.widgets.fleet_list import FleetList
from console.tui.widgets.glance import Glance
from console.tui.widgets.header import Header
from console.tui.widgets.key_line import KeyLine

SETTLE_S: Final = 1.0
"""How often the list is sorted anew."""
MOVING_S: Final = 1.5
"""For so long after a move the order stands still."""


class FleetScreen(ConsoleScreen):
    """Every bot in a list, and a glance at the highlighted one below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *BINDINGS,
        Binding("slash", "filter", "Filter", id="fleet.filter"),
        Binding("escape", "clear", "Clear filter", show=False, id="fleet.clear"),
        Binding("s", "sort(1)", "Sort", id="fleet.sort"),
        Binding("right", "sort(1)", "Sort by the next column", show=False, id="fleet.sort_next"),
        Binding("left", "sort(-1)", "Sort by the column before", show=False, id="fleet.sort_before"),
        Binding("S", "reverse", "Reverse the order", show=False, id="fleet.reverse"),
        Binding("w", "worst", "Worst first", show=False, id="fleet.worst"),
        Binding("c", "config", "Configuration", show=False, id="fleet.config"),
        Binding("1", "glance('log')", "Log below", show=False, id="fleet.glance_log"),
        Binding("2", "glance('events')", "Events below", show=False, id="fleet.glance_events"),
        Binding("3", "glance('figures')", "Figures below", show=False, id="fleet.glance_figures"),
        Binding("0", "glance('')", "Nothing below", show=False, id="fleet.glance_none"),
    ]

    def compose(self) -> ComposeResult:
        """Header, filter, list, glance, keys."""
        yield Header()
        yield FilterBar("fleet", "filter: text or regex, !not, phase:backoff, cond:throttled, is:marked")
        yield FleetList(self.console.model)
        yield Glance(self.console.memory.text("glance", "log"))
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin in the list, with the glance as it was left."""
        self._list = self.query_one(FleetList)
        self._settled_at = 0.0
        self._wanted = -1
        self._list.focus()
        self.on_tick()

    # --- keeping up --------------------------------------------------------------------------------------------

    def on_tick(self) -> None:
        """As ConsoleScreen.on_tick."""
        now = self.console.clock.monotonic()
        if now - self._settled_at >= SETTLE_S and now - self._list.moved_at >= MOVING_S:
            self._settled_at = now
            self.console.model.settle()
        self._draw()

    def _draw(self) -> None:
        self.query_one(Header).update()
        self.grey()
        self._share_room()
        self._list.update(self._face())
        self.query_one(Glance).update()

    def _share_room(self) -> None:
        """Give the list as many lines as it has bots, and the glance the rest; at least a third where there are many."""
        glance = self.query_one(Glance)
        wanted = max(5, min(len(self.console.model.rows) + 2, self.size.height * 3 // 5)) if glance.display else 0
        if wanted != self._wanted:
            self._wanted = wanted
            self._list.styles.height = wanted or "1fr"

    def _face(self) -> Words:
        """Return what stands in place of an empty list."""
        app = self.console
        if app.model.index:
            return NOTHING
        if app.model.rows:
            return "No bot passes this filter", f"{app.model.filter.text}\n\nEsc takes it away"
        if app.link.live:
            return "No bots yet", "press a to add one, or put a file into bots/"
        if app.model.fleet is None and not app.link.reason:
            return "Loading", "asking the fleet for its bots"
        return "No link to the fleet", f"{app.link.reason}\n\nit is tried again by itself; q leaves the console"

    def targets(self) -> list[str]:
        """Return the marked bots, else the highlighted one."""
        marked = self.console.model.marked()
        return marked or ([self._list.bot_id] if self._list.bot_id else [])

    def where(self) -> str:
        """As ConsoleScreen.where."""
        model = self.console.model
        parts = [f"{len(model.marks)} marked"] if model.marks else []
        parts += [f"{len(model.index)} of {len(model.rows)}"] if model.filter else []
        return ", ".join(parts)

    @on(FleetList.Highlighted)
    def _highlighted(self, event: FleetList.Highlighted) -> None:
        self.query_one(Glance).show(event.bot_id)

    @on(FleetList.Opened)
    def _opened(self, event: FleetList.Opened) -> None:
        self.console.open_bot(event.bot_id)

    def action_config(self) -> None:
        """Show the configuration of the highlighted bot."""
        if self._list.bot_id:
            self.console.open_bot(self._list.bot_id, "config")

    # --- filter and sort ---------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type a filter; the list follows while typing."""
        self.query_one(FilterBar).ask(self.console.model.filter.text)

    def action_clear(self) -> None:
        """Take the filter away."""
        self.query_one(FilterBar).dismiss("")

    @on(FilterBar.Changed)
    def _filtered(self, event: FilterBar.Changed) -> None:
        self.console.model.narrow(event.text)
        self._draw()

    @on(FilterBar.Closed)
    def _filter_done(self) -> None:
        self._list.focus()

    def action_sort(self, step: int) -> None:
        """Sort by the column further right (or left); beyond the last comes worst first."""
        names = [WORST, *COLUMNS]
        model = self.console.model
        self._order(names[(names.index(model.sort) + step) % len(names)])

    @on(FleetList.SortAsked)
    def _sort_asked(self, event: FleetList.SortAsked) -> None:
        model = self.console.model
        self._order(event.column, reverse=event.column == model.sort and not model.reverse)

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._order(self.console.model.sort, reverse=not self.console.model.reverse)

    def action_worst(self) -> None:
        """Put who needs a person on top."""
        self._order(WORST)

    def _order(self, column: str, *, reverse: bool = False) -> None:
        self.console.model.order_by(column, reverse=reverse)
        self.console.memory.put(sort=column, reverse=reverse)
        self._draw()

    # --- the glance --------------------------------------------------------------------------------------------

    def action_glance(self, what: str) -> None:
        """Choose what is shown of the highlighted bot below the list."""
        self.query_one(Glance).choose(what)
        self.console.memory.put(glance=what)
