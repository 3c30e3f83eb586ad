"""An area drawn line by line, whose number of lines changes all the time."""

from __future__ import annotations

from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.widget import Widget


class LineArea(ScrollView, can_focus=True):
    """A ScrollView whose length may change without the whole screen being laid out anew; styles by role.

    Its scroll bar is always there (`overflow-y: scroll`), so that a change of length moves nothing else.
    """

    DEFAULT_CSS = """
    LineArea { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """
    ROLES = ""
    """What the names of its component classes begin with."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._styles: dict[str, Style] = {}

    @property
    def room(self) -> Size:
        """The cells there are for the lines: all but the scroll bar's."""
        return self.scrollable_content_region.size

    def set_length(self, lines: int) -> None:
        """Say how many lines there are."""
        size = Size(self.room.width, lines)
        if size != self.virtual_size:
            # Assigned as usual, every new log line would lay out every widget of the screen anew (10 ms).
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(self.virtual_size)

    def scroll_line(self, line: int) -> None:
        """Bring a line to the top, as far as there are lines below it."""
        self.scroll_to(y=max(0, line), animate=False)

    def style_of(self, role: str) -> Style:
        """Return what a role is drawn in; "" is the area itself."""
        style = self._styles.get(role)
        if style is None:
            style = self.get_component_rich_style(f"{self.ROLES}--{role}") if role else self.rich_style
            self._styles[role] = style
        return style

    def notify_style_update(self) -> None:
        """Take over another theme."""
        super().notify_style_update()
        self._styles.clear()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Draw what the keys are at stronger while keys go here."""
        super().watch_has_focus(has_focus)
        self._styles.clear()
        self.refresh()
