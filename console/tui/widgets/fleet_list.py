"""The list of bots, drawn line by line from the model: only what is seen costs anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from console.tui.columns import Cell, Place, fold, username
from console.tui.screen import console_of
from console.tui.widgets.cells import fitted, joined
from console.tui.widgets.face import NOTHING, Words, face_line
from console.tui.widgets.lines import LineArea

if TYPE_CHECKING:
    from console.control import LiveRow
    from console.tui.model import FleetModel

HEAD = 1
"""Lines of the head, which stays when the rest scrolls."""


class _Drawn:
    """What a bot in view shows: made anew when its row is another one, and once a second, as ages grow."""

    __slots__ = ("cells", "row", "second", "strips")

    def __init__(self, row: LiveRow, second: int, cells: list[Cell]) -> None:
        self.row = row
        self.second = second
        self.cells = cells
        self.strips: dict[tuple[bool, bool], Strip] = {}
        """Its line, by whether the keys are at it and whether it is marked."""


class FleetList(LineArea):
    """The bots of the model in its order. The highlight stays with its bot whatever is sorted or filtered."""

    ROLES = "fleet-list"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"fleet-list--{name}"
        for name in ("head", "cursor", "marked", "good", "busy", "warn", "bad", "quiet", "name", "trend")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False, id="list.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="list.up"),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False, id="list.page_down"),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False, id="list.page_up"),
        Binding("home,g", "end(0)", "First", show=False, id="list.first"),
        Binding("end,G", "end(1)", "Last", show=False, id="list.last"),
        Binding("enter", "open", "Open", id="list.open"),
        Binding("space", "mark", "Mark", id="list.mark"),
        Binding("ctrl+@,ctrl+space", "mark_range", "Mark up to here", show=False, id="list.mark_range"),
        Binding("asterisk", "mark_all", "Mark all shown", show=False, id="list.mark_all"),
        Binding("u", "unmark_all", "Unmark all", show=False, id="list.unmark_all"),
    ]

    class Highlighted(Message):
        """Another bot is highlighted now; bot_id is empty when the list is."""

        def __init__(self, bot_id: str) -> None:
            super().__init__()
            self.bot_id = bot_id

    class Opened(Message):
        """A bot is to be shown."""

        def __init__(self, bot_id: str) -> None:
            super().__init__()
            self.bot_id = bot_id

    class SortAsked(Message):
        """The head of a column was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, model: FleetModel) -> None:
        super().__init__(id="fleet-list")
        self.bot_id = ""
        """The highlighted bot."""
        self.moved_at = 0.0
        """When (monotonic) somebody moved in the list last."""
        self._model = model
        self._row = 0
        self._marked_from = 0
        self._places: list[Place] = []
        self._folded: tuple[int, list[str] | None] = (0, None)
        self._bots: dict[str, _Drawn] = {}
        """The bots in view."""
        self._lines: list[object] = []
        """What each visible line showed when it was drawn last."""
        self._face = NOTHING

    # --- keeping up --------------------------------------------------------------------------------------------

    def update(self, face: Words = NOTHING) -> None:
        """Draw what the model holds now, or a face where that is nothing."""
        if face != self._face:
            self._face = face
            self.refresh()
        self._fold()
        self.set_length(len(self._model.index) + HEAD)
        self._follow_bot()
        self._refresh_changed()

    def _refresh_changed(self) -> None:
        """Draw the lines anew that are not what they were: most stay, and each costs as much as all its cells."""
        index, top, before = self._model.index, self.scroll_offset.y, self._bots
        self._bots = {bot_id: self._bot(bot_id, before) for bot_id in index[top : top + self.room.height - HEAD]}
        lines: list[object] = [(self._places, self._model.sort, self._model.reverse)]
        for row, (bot_id, bot) in enumerate(self._bots.items(), top):
            lines.append((bot.cells, row == self._row, bot_id in self._model.marks))
        drawn, self._lines = self._lines, lines
        if len(lines) != len(drawn):
            self.refresh()
            return
        changed = [Region(0, y, self._folded[0], 1) for y, line in enumerate(lines) if line != drawn[y]]
        if changed:
            self.refresh(*changed)

    def _bot(self, bot_id: str, known: dict[str, _Drawn]) -> _Drawn:
        """Return what a bot shows now; the same as before where nothing of it is to be seen."""
        app, row, drawn = console_of(self), self._model.rows[bot_id], known.get(bot_id)
        now = app.now()
        if drawn is not None and drawn.row is row and drawn.second == int(now):
            return drawn
        cells = [place.column.cell(row, now, app.glyphs) for place in self._places]
        if drawn is None or drawn.cells != cells:
            return _Drawn(row, int(now), cells)
        drawn.row, drawn.second = row, int(now)
        return drawn

    def _follow_bot(self) -> None:
        index = self._model.index
        if self.bot_id in self._model.rows and self._row < len(index) and index[self._row] == self.bot_id:
            return
        row = index.index(self.bot_id) if self.bot_id in index else min(self._row, len(index) - 1)
        self._highlight(max(0, row))

    def _highlight(self, row: int) -> None:
        self._row = row
        index = self._model.index
        bot_id = index[row] if row < len(index) else ""
        self._show_row()
        if bot_id != self.bot_id:
            self.bot_id = bot_id
            self.post_message(self.Highlighted(bot_id))

    def _show_row(self) -> None:
        room = self.room.height - HEAD
        top = self.scroll_offset.y
        if self._row < top:
            self.scroll_line(self._row)
        elif room > 0 and self._row >= top + room:
            self.scroll_line(self._row - room + 1)

    def _fold(self) -> None:
        width, index = self.room.width, self._model.index
        if self._folded[0] == width and self._folded[1] is index:
            return
        before, self._folded = self._folded[0], (width, index)
        names = max(map(len, index), default=0)
        users = max((len(username(self._model.rows[bot_id])) for bot_id in index), default=0)
        places = fold(width, {"bot": names, "username": users})
        if width != before or places != self._places:
            self._places, self._bots = places, {}

    def on_resize(self) -> None:
        """Fold the columns to the new width."""
        self.update(self._face)

    # --- drawing -----------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Return one line: the head, a bot, or nothing."""
        row = y - HEAD + self.scroll_offset.y
        if y < HEAD:
            return self._head_line()
        index = self._model.index
        if row >= len(index):
            return face_line(row, self._face, self.room, self.style_of("" if index else "quiet"))
        bot_id = index[row]
        drawn = self._bots[bot_id] = self._bot(bot_id, self._bots)
        how = (row == self._row, bot_id in self._model.marks)
        if how not in drawn.strips:
            drawn.strips[how] = self._bot_line(drawn.cells, cursor=how[0], marked=how[1])
        return drawn.strips[how]

    def forget_looks(self) -> None:
        """As LineArea.forget_looks."""
        super().forget_looks()
        for drawn in self._bots.values():
            drawn.strips.clear()

    def _head_line(self) -> Strip:
        style, glyphs = self.style_of("head"), console_of(self).glyphs
        parts = ["  "]
        for place in self._places:
            title = place.column.title
            if place.column.id == self._model.sort:
                down = place.column.big_first != self._model.reverse
                title = fitted(title, place.width - 1, more="").rstrip() + (glyphs.down if down else glyphs.up)
            parts.append(fitted(title, place.width, right=place.column.right, more="") + " ")
        return self._strip([Segment("".join(parts), style)], style)

    def _bot_line(self, cells: list[Cell], *, cursor: bool, marked: bool) -> Strip:
        glyphs = console_of(self).glyphs
        base = self.style_of("cursor" if cursor else "")
        parts = [(f"{glyphs.mark if marked else ' '} ", base if cursor else self.style_of("marked"))]
        for place, (text, role) in zip(self._places, cells, strict=True):
            shown = fitted(text, place.width, right=place.column.right, more=glyphs.more)
            style = self.style_of("marked" if marked and role == "name" else role) if role and not cursor else base
            parts.append((f"{shown} ", style))
        return self._strip(joined(parts), base)

    def _strip(self, segments: list[Segment], style: Style) -> Strip:
        last = self._places[-1]
        return Strip(segments, last.x + last.width + 1).adjust_cell_length(self._folded[0], style)

    # --- moving ------------------------------------------------------------------------------------------------

    def show_bot(self, bot_id: str) -> None:
        """Highlight a bot, if it is listed."""
        if bot_id in self._model.index:
            self._go(self._model.index.index(bot_id))

    def _go(self, row: int) -> None:
        self.moved_at = console_of(self).clock.monotonic()
        self._highlight(max(0, min(row, len(self._model.index) - 1)))
        self._refresh_changed()

    def action_move(self, rows: int) -> None:
        """Highlight the bot some rows further down."""
        self._go(self._row + rows)

    def action_page(self, pages: int) -> None:
        """Highlight the bot a page further down."""
        self._go(self._row + pages * max(1, self.room.height - HEAD - 1))

    def action_end(self, last: int) -> None:
        """Highlight the first bot, or the last."""
        self._go(len(self._model.index) - 1 if last else 0)

    def action_open(self) -> None:
        """Show the highlighted bot."""
        if self.bot_id:
            self.post_message(self.Opened(self.bot_id))

    def action_mark(self) -> None:
        """Mark the highlighted bot, or unmark it, and go on to the next."""
        self._model.mark([self.bot_id], on=self.bot_id not in self._model.marks)
        self._marked_from = self._row
        self._go(self._row + 1)

    def action_mark_range(self) -> None:
        """Mark every bot between the one marked last and the highlighted one."""
        first, last = sorted((self._marked_from, self._row))
        self._model.mark(self._model.index[first : last + 1])
        self._marked_from = self._row
        self._go(self._row)

    def action_mark_all(self) -> None:
        """Mark every bot listed."""
        self._model.mark(self._model.index)
        self._go(self._row)

    def action_unmark_all(self) -> None:
        """Take all marks away, those of bots that are not listed too."""
        self._model.mark(list(self._model.marks), on=False)
        self._go(self._row)

    def on_click(self, event: Click) -> None:
        """Highlight a bot, open it with a second click; sort by a column whose head is clicked."""
        if event.y < HEAD:
            place = next((p for p in reversed(self._places) if p.x <= event.x), None)
            if place is not None:
                self.post_message(self.SortAsked(place.column.id))
            return
        row = event.y - HEAD + self.scroll_offset.y
        if row < len(self._model.index):
            self._go(row)
            if event.chain > 1:
                self.action_open()
