"""The lines of a log, to be moved through by keys, wheel and mouse."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message

from console.tui.widgets.log_lines import LogLines


class LogView(LogLines):
    """Follows the newest line until somebody goes up; going below the newest follows again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next line", show=False, id="log.down"),
        Binding("up,k", "move(-1)", "Line before", show=False, id="log.up"),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False, id="log.page_down"),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False, id="log.page_up"),
        Binding("home,g", "first", "Oldest", show=False, id="log.first"),
        Binding("end,G", "follow", "Newest, and follow", show=False, id="log.last"),
        Binding("right", "shift(20)", "Further right", show=False, id="log.right"),
        Binding("left", "shift(-20)", "Further left", show=False, id="log.left"),
    ]

    class Moved(Message):
        """Somebody moved, or following began or ended."""

    class OlderWanted(Message):
        """Somebody is at the oldest line and wants more."""

    class Chosen(Message):
        """A line was clicked twice."""

    def go(self, number: int) -> None:
        """Put the keys at a line and show it; following ends."""
        if not len(self._ring):
            return
        if number < self._ring.first:
            self.post_message(self.OlderWanted())
        self.following = False
        self.current = max(self._ring.first, min(number, self._ring.end - 1))
        first, after = self._rows_of(self.current)
        top, room = self.scroll_offset.y, self.room.height
        if first < top:
            self.scroll_line(first)
        elif after > top + room:
            self.scroll_line(min(first, after - room))
        self.post_message(self.Moved())
        self.refresh()

    def action_move(self, lines: int) -> None:
        """Go some lines down; below the newest, following begins again."""
        here = self.current
        if here is None:
            here = self._ring.end if self.following else self.visible_range()[0]
        if lines > 0 and here + lines >= self._ring.end:
            self.action_follow()
        else:
            self.go(here + lines)

    def action_page(self, pages: int) -> None:
        """Go a page down."""
        self.action_move(pages * max(1, self.room.height - 1))

    def action_first(self) -> None:
        """Go to the oldest line here, and ask for older ones."""
        self.go(self._ring.first - 1)

    def action_follow(self) -> None:
        """Go to the newest line and follow."""
        self.following, self.current, self.fresh = True, None, 0
        gone = self._ring.trim()
        self._moved_up(self._rows.dropped(gone) if gone else 0)
        self.post_message(self.Moved())

    def pause(self) -> None:
        """Stand still."""
        if self.following:
            self.go(self._ring.end - 1)

    def action_shift(self, by: int) -> None:
        """Show what lies further right of long lines."""
        self.look.shift = max(0, self.look.shift + by)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """End following when somebody scrolls up, begin again at the end, ask for older lines at the top."""
        super().watch_scroll_y(old_value, new_value)
        end = max(0, self._rows.total() - self.room.height)
        if self.following and round(new_value) < end and new_value < old_value:
            self.following = False
            self.post_message(self.Moved())
        elif not self.following and self.current is None and round(new_value) >= end and new_value > old_value:
            self.action_follow()
        elif not self.following and round(new_value) == 0 and new_value < old_value:
            self.post_message(self.OlderWanted())

    def on_click(self, event: Click) -> None:
        """Put the keys at a line; twice shows all of it."""
        row = event.y + self.scroll_offset.y
        if row < self._rows.total() and not self.text_selection:
            self.go(self._rows.locate(row)[0])
            if event.chain > 1:
                self.post_message(self.Chosen())
