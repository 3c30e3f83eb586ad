"""Text fitted to cells of a terminal: strangers' text may be of any width."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells, set_cell_size


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
