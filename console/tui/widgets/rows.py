"""Which row of a pane shows which part of which line: one row each, or as many as a line needs at a width."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from console.tui.widgets.cells import height
from console.tui.widgets.ring import Line, Ring


class Rows(Protocol):
    """The rows of a ring's lines. Row 0 is the first row of the oldest line."""

    def total(self) -> int:
        """Return how many rows there are."""
        ...

    def locate(self, row: int) -> tuple[int, int]:
        """Return the number of the line a row shows, and which of its rows it is."""
        ...

    def row_of(self, number: int) -> int:
        """Return the first row of a line."""
        ...

    def appended(self, lines: Sequence[Line]) -> None:
        """Take note of newer lines."""
        ...

    def prepended(self, count: int) -> int:
        """Take note of older lines; return how many rows they take."""
        ...

    def dropped(self, count: int) -> int:
        """Take note of the oldest lines having gone; return how many rows they took."""
        ...


class FlatRows:
    """One row a line."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def total(self) -> int:
        """As Rows.total."""
        return len(self._ring)

    def locate(self, row: int) -> tuple[int, int]:
        """As Rows.locate."""
        return self._ring.first + row, 0

    def row_of(self, number: int) -> int:
        """As Rows.row_of."""
        return number - self._ring.first

    def appended(self, lines: Sequence[Line]) -> None:
        """As Rows.appended."""

    def prepended(self, count: int) -> int:
        """As Rows.prepended."""
        return count

    def dropped(self, count: int) -> int:
        """As Rows.dropped."""
        return count


class WrappedRows:
    """As many rows as a line's text, and what stands below it, need at a width."""

    def __init__(self, ring: Ring, width: int) -> None:
        self._ring = ring
        self._width = max(8, width)
        self._ends: list[int] = []
        """Row after each line, counted from a row that lies `_gone` before row 0."""
        self._gone = 0
        self._first = 0
        """How many entries of _ends are of lines that have gone."""
        self.appended(list(ring.slice(ring.first, ring.end)))

    def total(self) -> int:
        """As Rows.total."""
        return (self._ends[-1] if self._ends else 0) - self._gone

    def locate(self, row: int) -> tuple[int, int]:
        """As Rows.locate."""
        index = bisect_right(self._ends, row + self._gone)
        return self._ring.first + index - self._first, row + self._gone - self._begin(index)

    def row_of(self, number: int) -> int:
        """As Rows.row_of."""
        return self._begin(number - self._ring.first + self._first) - self._gone

    def _begin(self, index: int) -> int:
        return self._ends[index - 1] if index else 0

    def appended(self, lines: Sequence[Line]) -> None:
        """As Rows.appended."""
        end = self._ends[-1] if self._ends else 0
        for line in lines:
            end += self._height(line)
            self._ends.append(end)

    def prepended(self, count: int) -> int:
        """As Rows.prepended."""
        before = self.total()
        self._ends, self._gone, self._first = [], 0, 0
        self.appended(list(self._ring.slice(self._ring.first, self._ring.end)))
        return self.total() - before

    def dropped(self, count: int) -> int:
        """As Rows.dropped."""
        gone = self._begin(self._first + count) - self._gone
        self._first += count
        self._gone += gone
        if self._first > self._ring.capacity:
            del self._ends[: self._first]
            self._ends = [end - self._gone for end in self._ends]
            self._first = self._gone = 0
        return gone

    def _height(self, line: Line) -> int:
        rows = height(line.text, self._width)
        return rows + sum(height(part, self._width) for part in line.more.split("\n")) if line.more else rows
