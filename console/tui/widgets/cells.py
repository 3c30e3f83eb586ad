"""Text fitted to cells of a terminal: strangers' text may be of any width."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from rich.style import Style


def fitted(text: str, width: int, *, right: bool = False, more: str = "…") -> str:
    """Return text exactly `width` cells wide: cut with a sign at the end, or padded (at the left when right)."""
    taken = len(text) if text.isascii() else cell_len(text)
    if taken > width:
        return set_cell_size(text, max(0, width - 1)) + more if width > 0 else ""
    blanks = " " * (width - taken)
    return blanks + text if right else text + blanks


def wrapped(text: str, width: int) -> list[str]:
    """Return text in pieces of at most `width` cells, at least one."""
    if text.isascii():
        return [text[at : at + width] for at in range(0, len(text), width)] or [""]
    return chop_cells(text, width) or [""]


def height(text: str, width: int) -> int:
    """Return how many pieces `wrapped` makes."""
    if text.isascii():
        return max(1, -(-len(text) // width))
    return len(chop_cells(text, width)) or 1


def joined(parts: Iterable[tuple[str, Style]]) -> list[Segment]:
    """Return texts and their styles as segments, neighbours drawn alike as one: each costs on its way to the terminal."""
    segments: list[Segment] = []
    text, style = "", Style.null()
    for more, its in parts:
        if its is style:
            text += more
            continue
        if text:
            segments.append(Segment(text, style))
        text, style = more, its
    return [*segments, Segment(text, style)]
