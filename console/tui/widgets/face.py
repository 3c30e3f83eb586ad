"""What stands where there is nothing to show: empty, loading, error, no link."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip

from console.tui.widgets.cells import fitted, wrapped

Words = tuple[str, str]
"""A title, and what is said below it."""

NOTHING: Words = ("", "")


def face_line(y: int, face: Words, size: Size, style: Style) -> Strip:
    """Return one line of an area that shows a face in its middle."""
    title, text = face
    room = max(10, size.width - 4)
    said = [piece for each in text.split("\n") for piece in wrapped(each, room)] if text else []
    lines = [title, "", *said] if said else [title]
    row = y - max(0, (size.height - len(lines)) // 2)
    if not title or not 0 <= row < len(lines):
        return Strip.blank(size.width, style)
    line = fitted(lines[row], room).rstrip()
    left = " " * ((size.width - cell_len(line)) // 2)
    shown = Segment(left + line, style + Style(bold=True) if row == 0 else style)
    return Strip([shown]).adjust_cell_length(size.width, style)
