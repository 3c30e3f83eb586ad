"""Lines of a source in a pane: taken as they come, read back as somebody goes up, narrowed by what is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from console.errors import BadRequest
from console.tui import words
from console.tui.screen import console_of
from console.tui.sources import LEVELS, LineSource, Narrow, moment, narrow
from console.tui.widgets.face import NOTHING, Words
from console.tui.widgets.filter_bar import FilterBar
from console.tui.widgets.intake import Intake
from console.tui.widgets.log_view import LogView
from console.tui.widgets.ring import Ring

if TYPE_CHECKING:
    from textual.timer import Timer

FLUSH_S: Final = 0.1
FLOOD: Final = 20
"""Nobody reads more new lines than this at once: they are shown in fewer, larger steps."""
FLOOD_BEATS: Final = 4
TYPING_S: Final = 0.25
"""How long after the last key a filter is asked of the store."""

_FILTER_HINTS: Final = {
    "log": f"level:{'|'.join(list(LEVELS)[2:4])} bot:shop-* since:10m until:14:05 regex !not",
    "events": "kind:Bot* bot:shop-* by:anna since:1h level:error regex !not",
}


class LinePane(Vertical):
    """A title, two lines to type into, and the lines themselves. A filter asks the fleet for other lines."""

    def __init__(
        self, source: LineSource | None = None, *, kind: str = "log", title: str = "", id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._ring = Ring()
        self._source = source
        self._title = title
        self._asked = Narrow()
        self._mistake = ""
        self._search = ""
        self._told: object = None
        """What the title was made of."""
        self._beats = 0
        self._typing: Timer | None = None
        self._intake = Intake(self)
        self._kind = source.kind if source is not None else kind

    def compose(self) -> ComposeResult:
        """A line that says what is shown, two to type into, the lines themselves."""
        yield Static(id="log-title", markup=False)
        yield FilterBar(self._kind, _FILTER_HINTS[self._kind], id="log-filter")
        yield FilterBar("search", "search: a regular expression; n next, N before", name="search", id="log-search")
        yield LogView(self._ring)

    def on_mount(self) -> None:
        """Begin to follow."""
        self._view = self.query_one(LogView)
        self._view.set_wrap(console_of(self).memory.flag("wrap"))
        self.set_interval(FLUSH_S, self._flush)
        if self._source is not None:
            self.show(self._source, title=self._title)

    # --- where the lines come from -----------------------------------------------------------------------------

    @property
    def lines(self) -> Ring:
        """The lines held."""
        return self._ring

    @property
    def view(self) -> LogView:
        """The lines as drawn."""
        return self._view

    def focus_lines(self) -> None:
        """Let keys go to the lines."""
        self.query_one(LogView).focus()

    def show(self, source: LineSource | None, *, title: str = "", text: str | None = None) -> None:
        """Show the lines of another source, filtered as typed (or as `text` says)."""
        self._source, self._title = source, title
        if text is not None:
            self.query_one("#log-filter", FilterBar).dismiss(text)
        if source is not None:
            self._view.look.tagged, self._view.look.note_from = source.tagged, source.note_from
        self._begin()

    def _begin(self) -> None:
        """Ask the source anew for what the filter says; what is here is kept until the answer comes."""
        bar = self.query_one("#log-filter", FilterBar)
        try:
            self._asked, self._mistake = narrow(bar.text, console_of(self).now()), ""
        except BadRequest as error:
            self._mistake = error.message
        else:
            self._intake.begin(self._source, self._asked)
        self._flush()

    def _flush(self) -> None:
        """Show what has come since the last time."""
        if not self.is_attached:
            return
        self._beats += 1
        if self._intake.waiting > FLOOD and self._beats % FLOOD_BEATS:
            return
        cleared, lines = self._intake.take()
        if cleared:
            self._view.clear()
        if lines:
            self._view.take(lines)
        if cleared or lines or self._beats % 5 == 0:
            self._draw()

    def _draw(self) -> None:
        self._view.say(*self._words_for_nothing())
        told = (
            self._title, self._mistake, self._intake.fault, self._search, self._source, self._asked.until,
            self._view.following, self._view.fresh,
        )  # fmt: skip
        if told != self._told:
            self._told = told
            self.query_one("#log-title", Static).update(self._title_line())

    def _words_for_nothing(self) -> Words:
        """Return what stands in place of the lines; both empty where there are some."""
        if len(self._ring):
            return NOTHING
        if self._intake.fault:
            return "No lines", self._intake.fault
        if self._intake.loading:
            return "Loading", ""
        if self._source is None:
            return "No bot is highlighted", ""
        what = "log line" if self._source.kind == "log" else "event"
        return (f"No {what} passes this filter", "") if self.filter_text else (f"No {what} yet", "")

    @property
    def filter_text(self) -> str:
        """The filter as typed."""
        return self.query_one("#log-filter", FilterBar).text

    def _title_line(self) -> Text:
        app = console_of(self)
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f" {self._title} ", "bold")
        if self._mistake or self._intake.fault:
            line.append(f" {words.one_line(self._mistake or self._intake.fault)} ", "bold reverse")
        if self._search:
            line.append(f" search: {words.visible(self._search)} ")
        if self._source is None:
            return line
        if self._view.following:
            line.append(" following" if not self._asked.until else " the end of what was asked for", "dim")
        elif self._view.fresh:
            line.append(
                f" {app.glyphs.down} {words.plural(self._view.fresh, 'new line')}: End follows ", "bold reverse"
            )
        else:
            line.append(" standing still: End follows", "dim")
        return line

    # --- older lines -------------------------------------------------------------------------------------------

    @on(LogView.OlderWanted)
    def _older_wanted(self) -> None:
        self.run_worker(self._read_older(), group="older", exclusive=False, exit_on_error=False)

    async def _read_older(self) -> None:
        self._view.take_older(await self._intake.older(self._ring))
        self._draw()

    def go_to_time(self, text: str) -> None:
        """Go to the first line at or after a moment as typed; older lines are read from the store as far as needed."""
        try:
            at = moment(text.strip(), console_of(self).now())
        except BadRequest as error:
            console_of(self).complain(error.message)
            return
        self.run_worker(self._go_to(at), group="older", exit_on_error=False)

    async def _go_to(self, at: float) -> None:
        self._view.pause()
        async for lines in self._intake.back_to(self._ring, at):
            self._view.take_older(lines)
        if len(self._ring):
            if self._ring[self._ring.first].at > at:
                console_of(self).say(
                    f"the oldest line there is is of {words.day_and_clock(self._ring[self._ring.first].at)}"
                )
            self._view.go(min(self._ring.at(at), self._ring.end - 1))
        self._draw()

    # --- the filter --------------------------------------------------------------------------------------------

    def set_filter(self, text: str) -> None:
        """Filter by a text as if it had been typed."""
        self.query_one("#log-filter", FilterBar).dismiss(text)

    @on(FilterBar.Changed, "#log-filter")
    def _filter_changed(self, event: FilterBar.Changed) -> None:
        event.stop()
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_S, self._begin)

    @on(LogView.Moved)
    def _moved(self) -> None:
        self._draw()
