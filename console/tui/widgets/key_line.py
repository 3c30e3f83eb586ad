"""The last line of a screen: the keys that do something on it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from console.tui.widgets.lines import ReadyLines

if TYPE_CHECKING:
    from textual.binding import ActiveBinding
    from textual.events import MouseDown
    from textual.screen import Screen


NOTHING: Final = Style.null()
DIM: Final = Style(dim=True)


class KeyLine(Widget):
    """Keys and what they do, as far as there is room; a click on one presses it.

    One widget, drawn. The library's footer is a widget a key, each with a task, a queue and styles of its own: 1.5 MB for twenty
    keys, made anew whenever the focus moves.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-line--key", "key-line--does"}
    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; color: $footer-foreground; background: $footer-background; }
    KeyLine > .key-line--key { color: $footer-key-foreground; background: $footer-key-background; text-style: bold; }
    KeyLine > .key-line--does {
      color: $footer-description-foreground; background: $footer-description-background;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._styles_cache = ReadyLines()
        self._keys: list[ActiveBinding] = []

    def on_mount(self) -> None:
        """Keep up with what the focused widget knows to do."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if not (screen.app.app_focus and self.is_attached):
            return
        first: dict[str, ActiveBinding] = {}
        for active in screen.active_bindings.values():
            if active.binding.show:
                first.setdefault(active.binding.action, active)
        self._keys = list(first.values())
        self.refresh()

    def _told(self, active: ActiveBinding) -> tuple[str, str]:
        return self.app.get_key_display(active.binding), f" {active.binding.description}"

    def render_line(self, y: int) -> Strip:
        """Return the line."""
        base = self.rich_style
        gap = Style(bgcolor=base.bgcolor)
        key_style = base + self.get_component_rich_style("key-line--key")
        does_style = base + self.get_component_rich_style("key-line--does")
        segments: list[Segment] = []
        for active in self._keys:
            key, does = self._told(active)
            more = NOTHING if active.enabled else DIM
            segments += Segment(key, key_style + more), Segment(does, does_style + more), Segment(" ", gap)
        return Strip(segments).adjust_cell_length(self.size.width, gap)

    def on_mouse_down(self, event: MouseDown) -> None:
        """Press the key that is clicked."""
        x = 0
        for active in self._keys:
            end = x + sum(map(cell_len, self._told(active)))
            if x <= event.x < end:
                self._press(active)
            x = end + 1

    def _press(self, active: ActiveBinding) -> None:
        if active.enabled:
            self.app.simulate_key(active.binding.key)
        else:
            self.app.bell()
