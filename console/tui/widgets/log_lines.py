"""The lines of a log as they are drawn: as far as they are seen, whatever is added at either end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from console.tui import words
from console.tui.widgets.face import face_line
from console.tui.widgets.line_look import LineLook
from console.tui.widgets.lines import LineArea
from console.tui.widgets.ring import Line, Ring
from console.tui.widgets.rows import FlatRows, Rows, WrappedRows

SPAN: Final = 1000
"""How far the offsets of two lines are apart for the mouse, as each may have several rows."""


class LogLines(LineArea):
    """Lines of a ring. The newest are seen while `following`; else what is seen stays, and `fresh` counts new ones.

    `current` is the number of the line the keys are at, None for none.
    """

    ALLOW_SELECT = True
    ROLES = "log-view"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"log-view--{name}"
        for name in ("time", "debug", "info", "warning", "error", "critical", "tag", "note", "cursor", "found", "face")
    }

    def __init__(self, ring: Ring) -> None:
        super().__init__()
        self.following = True
        self.current: int | None = None
        self.fresh = 0
        """Lines that have come since following ended."""
        self.look = LineLook()
        self._ring = ring
        self._rows: Rows = FlatRows(ring)
        self._face = ("", "")
        self._made: dict[tuple[int, int], Strip] = {}
        """Rows made already, by line and row of it: all but one move up when a line comes."""
        self._made_as: object = None
        """How lines looked when they were made."""

    # --- lines come --------------------------------------------------------------------------------------------

    def take(self, lines: Sequence[Line]) -> None:
        """Add newer lines."""
        gone = self._ring.append(lines)
        if self.following:
            gone += self._ring.trim()
        else:
            self.fresh += len(lines)
        self._rows.appended(lines)
        self._moved_up(self._rows.dropped(gone) if gone else 0)

    def take_older(self, lines: Sequence[Line]) -> int:
        """Add older lines above; what is seen stays where it is. Return how many were taken."""
        taken = self._ring.prepend(lines)
        if taken:
            self._moved_up(-self._rows.prepended(taken))
        return taken

    def _moved_up(self, rows: int) -> None:
        """Bring everything up to date after the rows moved up by so many."""
        self._date()
        self.set_length(self._rows.total())
        if self.following:
            self.scroll_line(self._rows.total() - self.room.height)
        elif rows:
            self.scroll_line(self.scroll_offset.y - rows)
        if self.current is not None:
            self.current = max(self.current, self._ring.first)
        self.refresh()

    def _date(self) -> None:
        """Name the days once there are lines of several."""
        if not len(self._ring):
            return
        first, last = self._ring[self._ring.first].at, self._ring[self._ring.end - 1].at
        dated = words.day_and_clock(first)[:10] != words.day_and_clock(last)[:10]
        if dated != self.look.dated:
            self.look.dated = dated
            self._rows = self._rows_made()

    def clear(self) -> None:
        """Forget every line and follow again."""
        self._ring.clear()
        self.following, self.current, self.fresh, self.look.dated = True, None, 0, False
        self._made.clear()
        self._layout()

    def say(self, title: str, text: str) -> None:
        """Show words in place of the lines, while there are none."""
        if (title, text) != self._face:
            self._face = (title, text)
            self.refresh()

    def _rows_made(self) -> Rows:
        return WrappedRows(self._ring, self.look.text_width) if self.look.wrap else FlatRows(self._ring)

    def _layout(self) -> None:
        self.look.width = self.room.width
        self._rows = self._rows_made()
        self._moved_up(0)

    def on_resize(self) -> None:
        """Break lines anew where they are wrapped."""
        self._arrange(self.look.wrap)

    # --- how they look -----------------------------------------------------------------------------------------

    @property
    def wrap(self) -> bool:
        """Whether long lines go on below."""
        return self.look.wrap

    def set_wrap(self, on: bool) -> None:
        """Let long lines go on below, or cut them."""
        self.look.shift = 0
        self._arrange(on)

    def _arrange(self, wrap: bool) -> None:
        """Lay the rows out anew; the line that was seen stays seen."""
        here = self.current if self.current is not None else self.visible_range()[0]
        self.look.wrap = wrap
        self._layout()
        if not self.following and len(self._ring):
            self.scroll_line(self._rows.row_of(here))

    def highlight(self, pattern: re.Pattern[str] | None) -> None:
        """Draw what a search finds in another colour."""
        self.look.pattern = pattern
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one row of the lines."""
        width, row = self.room.width, y + self.scroll_offset.y
        if row >= self._rows.total():
            return face_line(y, self._face, self.room, self.style_of("" if len(self._ring) else "face"))
        number, part = self._rows.locate(row)
        if number != self.current and self.text_selection is None:
            return self._plain_row(number, part, width)
        base = self.style_of("cursor") if number == self.current else None
        segments = self.look.segments(self._ring[number], part, self.style_of, base)
        strip = Strip(segments).adjust_cell_length(width, base or self.style_of(""))
        return self._selected(strip, number * SPAN + part).apply_offsets(0, number * SPAN + part)

    def _plain_row(self, number: int, part: int, width: int) -> Strip:
        """Return a row that neither the keys are at nor the mouse has selected."""
        look = (width, *vars(self.look).values())
        if look != self._made_as:
            self._made_as = look
            self._made.clear()
        strip = self._made.get((number, part))
        if strip is None:
            if len(self._made) > 2 * self.room.height:
                self._made.clear()
            segments = self.look.segments(self._ring[number], part, self.style_of, None)
            strip = Strip(segments).adjust_cell_length(width, self.style_of("")).apply_offsets(0, number * SPAN + part)
            self._made[number, part] = strip
        return strip

    def forget_looks(self) -> None:
        """As LineArea.forget_looks."""
        super().forget_looks()
        self._made.clear()

    # --- where they are ------------------------------------------------------------------------------------------

    def visible_range(self) -> tuple[int, int]:
        """Return the numbers of the first line seen and of the one after the last."""
        if not len(self._ring):
            return self._ring.first, self._ring.first
        bottom = self._rows.total() - 1
        top = min(self.scroll_offset.y, bottom)
        return self._rows.locate(top)[0], self._rows.locate(min(top + max(1, self.room.height) - 1, bottom))[0] + 1

    def _rows_of(self, number: int) -> tuple[int, int]:
        """Return the first row of a line, and the one after its last."""
        inner = number + 1 < self._ring.end
        return self._rows.row_of(number), self._rows.row_of(number + 1) if inner else self._rows.total()

    # --- selecting with the mouse ------------------------------------------------------------------------------

    def _selected(self, strip: Strip, y: int) -> Strip:
        selection = self.text_selection
        span = selection.get_span(y) if selection is not None else None
        if span is None:
            return strip
        end = strip.cell_length if span[1] == -1 else min(span[1], strip.cell_length)
        start = min(span[0], end)
        style = self.screen.get_component_rich_style("screen--selection")
        return Strip.join([strip.crop(0, start), strip.crop(start, end).apply_style(style), strip.crop(end)])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the text selected, rows as they are seen."""
        first = selection.start or Offset(0, self._ring.first * SPAN)
        last = selection.end or Offset(self.room.width, self._ring.end * SPAN)
        parts = []
        for number in range(max(first.y // SPAN, self._ring.first), min(last.y // SPAN, self._ring.end - 1) + 1):
            begin, after = self._rows_of(number)
            for part in range(after - begin):
                span = selection.get_span(number * SPAN + part)
                if span is not None:
                    row = self.look.row(self._ring[number], part)
                    parts.append(row[span[0] : None if span[1] == -1 else span[1]].rstrip())
        return "\n".join(parts), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw what is selected."""
        self.refresh()
