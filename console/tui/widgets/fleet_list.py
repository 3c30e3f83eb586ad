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

from console.tui.columns import Place, fold, username
from console.tui.screen import console_of
from console.tui.widgets.cells import fitted
from console.tui.widgets.face import NOTHING, Words, face_line
from console.tui.widgets.lines import LineArea

if TYPE_CHECKING:
    from console.control import LiveRow
    from console.tui.model import FleetModel

HEAD = 1
"""Lines of the head, which stays when the rest scrolls."""


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
        self._drawn: list[object] = []
        """What each visible row showed when it was drawn last."""
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
        """Draw the rows anew that are not what they were: most stay, and each costs as much as all its cells."""
        app, index, top = console_of(self), self._model.index, self.scroll_offset.y
        now, glyphs = app.now(), app.glyphs
        drawn: list[object] = [(self._folded, self._model.sort, self._model.reverse, top, self._row, len(index))]
        for bot_id in index[top : top + self.room.height]:
            row = self._model.rows[bot_id]
            cells = [place.column.cell(row, now, glyphs) for place in self._places]
            drawn.append((bot_id, bot_id in self._model.marks, cells))
        before, self._drawn = self._drawn, drawn
        if drawn[:1] != before[:1] or len(drawn) != len(before):
            self.refresh()
            return
        for number, (new, old) in enumerate(zip(drawn, before, strict=True)):
            if new != old:
                self.refresh(Region(0, number - 1 + HEAD, self.room.width, 1))

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
        self.refresh()

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
        self._folded = (width, index)
        names = max(map(len, index), default=0)
        users = max((len(username(self._model.rows[bot_id])) for bot_id in index), default=0)
        self._places = fold(width, {"bot": names, "username": users})

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
        return self._bot_line(self._model.rows[index[row]], cursor=row == self._row)

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

    def _bot_line(self, row: LiveRow, *, cursor: bool) -> Strip:
        app = console_of(self)
        glyphs, now = app.glyphs, app.now()
        marked = row["bot_id"] in self._model.marks
        base = self.style_of("cursor" if cursor else "")
        segments = [Segment(f"{glyphs.mark if marked else ' '} ", base if cursor else self.style_of("marked"))]
        for place in self._places:
            text, role = place.column.cell(row, now, glyphs)
            text = fitted(text, place.width, right=place.column.right, more=glyphs.more)
            role = "marked" if marked and role == "name" else role
            segments.append(Segment(text + " ", base if cursor or not role else self.style_of(role)))
        return self._strip(segments, base)

    def _strip(self, segments: list[Segment], style: Style) -> Strip:
        return Strip(segments).adjust_cell_length(self.room.width, style)

    # --- moving ------------------------------------------------------------------------------------------------

    def show_bot(self, bot_id: str) -> None:
        """Highlight a bot, if it is listed."""
        if bot_id in self._model.index:
            self._go(self._model.index.index(bot_id))

    def _go(self, row: int) -> None:
        self.moved_at = console_of(self).clock.monotonic()
        self._highlight(max(0, min(row, len(self._model.index) - 1)))

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
