"""An area drawn line by line, whose number of lines changes all the time."""

from __future__ import annotations

from typing import Final

from rich.style import Style
from textual._styles_cache import StylesCache
from textual.cache import FIFOCache
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget


class _Forgetful(FIFOCache[tuple[int, ...], list[Strip]]):
    """Keeps nothing. A line remembers how it was cut; where it was not, it remembers itself, and waits for the collector."""

    def __setitem__(self, key: tuple[int, ...], value: list[Strip]) -> None:
        """Keep nothing."""


_FORGETFUL: Final = _Forgetful(0)


class ReadyLines(StylesCache):
    """The lines of a widget without border and padding as they go to the screen, each kept until it is said to be another.

    The library asks for borders, padding and tint line by line, and copies each line four times for them: a third of what a
    console cost. A widget that is drawn faintly, as what is old is, goes the library's way.
    """

    def __init__(self) -> None:
        super().__init__()
        self._faint = False

    def render_widget(self, widget: Widget, crop: Region) -> list[Strip]:
        """Return the lines of a part of a widget."""
        faint, width = widget.opacity != 1.0, widget.outer_size.width
        if faint != self._faint:
            self.clear()
            self._faint = faint
        if faint:
            return super().render_widget(widget, crop)
        if width != self._width:
            self.clear()
            self._width = width
        wanted, lines = crop.line_range, self._cache
        missing = [y for y in wanted if y in self._dirty_lines or y not in lines]
        if missing:
            background, filters = widget.background_colors[1], widget.get_line_filters()
            for y in missing:
                strip = widget.render_line(y)
                for each in filters:
                    strip = strip.apply_filter(each, background)
                strip._divide_cache = _FORGETFUL  # noqa: SLF001 (nothing else lets go of it)
                lines[y] = strip
            self._dirty_lines.difference_update(missing)
        strips = [lines[y] for y in wanted]
        return strips if crop.column_span == (0, width) else [strip.crop(crop.x, crop.right) for strip in strips]


class LineArea(ScrollView, can_focus=True):
    """A ScrollView without border or padding, whose length may change without the whole screen being laid out anew; styles by role.

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
        self._styles_cache = ReadyLines()

    def on_mount(self) -> None:
        """The scroll bar is drawn anew whenever lines come."""
        self.vertical_scrollbar._styles_cache = ReadyLines()  # noqa: SLF001 (where the library keeps what is drawn)

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

    def forget_looks(self) -> None:
        """Forget what was made of styles that are others now."""
        self._styles.clear()

    def notify_style_update(self) -> None:
        """Take over another theme."""
        super().notify_style_update()
        self.forget_looks()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Draw what the keys are at stronger while keys go here."""
        super().watch_has_focus(has_focus)
        self.forget_looks()
        self.refresh()
