"""Lines over time, drawn with dots of braille (or blocks where a font lacks them), with axes that can be read.

`plot` is plain text and colours, without a widget; `Chart` shows it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

if TYPE_CHECKING:
    from console.tui.memory import Memory

_BRAILLE: Final = 0x2800
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bit of a dot by column and row, from the top, within its cell."""
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_ASCII: Final = " .:-=+*#@"
_STEPS: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, its values from left to right (None = nothing known), its style."""

    name: str
    values: Sequence[float | None]
    style: Style


def chart_glyphs(memory: Memory) -> str:
    """Return what charts are drawn with: braille, or blocks where the operator or the terminal wants them, or ASCII."""
    if memory.flag("plain"):
        return "ascii"
    return "blocks" if memory.flag("bars") or os.environ.get("TERM") == "linux" else "braille"


def plot(
    lines: Sequence[Line],
    *,
    width: int,
    height: int,
    label: Callable[[float], str],
    ends: tuple[str, str],
    glyphs: str = "braille",
) -> list[Text]:
    """Return `height` lines of `width` cells: a plot with the value axis at its left and the time axis below.

    label writes a value of the axis; ends are the words at the left and the right end of time. glyphs: braille, blocks or
    ascii. Too small a room gives as much as fits.
    """
    top = ceiling(max((v for line in lines for v in line.values if v is not None), default=0.0))
    rows = max(1, height - 1)
    marks = {0: label(top), rows - 1: label(0.0)} | ({rows // 2: label(top / 2)} if rows >= 5 and rows % 2 else {})
    gutter = min(max(map(len, marks.values())), max(0, width - 4))
    room = max(1, width - gutter - 1)
    picture = _dotted(lines, room, rows, top) if glyphs == "braille" else _barred(lines, room, rows, top, glyphs)
    drawn = [
        Text.assemble((marks.get(row, "")[:gutter].rjust(gutter), "dim"), ("┤" if row in marks else "│", "dim"), cells)
        for row, cells in enumerate(picture)
    ]
    return [*drawn, _time_axis(ends, gutter, room)][:height]


def ceiling(value: float) -> float:
    """Return the round number at or above a value at which the axis ends; 1 for nothing."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))


def sampled(values: Sequence[float | None], count: int) -> list[float | None]:
    """Return `count` values over the same time: the highest of those that fall together, the nearest of those that do not."""
    if not values:
        return [None] * count
    found: list[float | None] = []
    for n in range(count):
        start = n * len(values) // count
        part = [v for v in values[start : max(start + 1, (n + 1) * len(values) // count)] if v is not None]
        found.append(max(part) if part else None)
    return found


def _time_axis(ends: tuple[str, str], gutter: int, room: int) -> Text:
    left, right = ends
    gap = room - len(left) - len(right)
    words = f"{left}{' ' * gap}{right}" if gap > 0 else right.rjust(room)[-room:]
    return Text(f"{' ' * gutter}╵{words}", style="dim")


def _dotted(lines: Sequence[Line], width: int, rows: int, top: float) -> list[Text]:
    """Draw lines with dots: twice as many across and four times as many down as there are cells."""
    bits: dict[tuple[int, int], int] = {}
    styles: dict[tuple[int, int], Style] = {}
    for line in lines:
        for x, y in _dots(sampled(line.values, width * 2), rows * 4, top):
            cell = (y // 4, x // 2)
            bits[cell] = bits.get(cell, 0) | _DOTS[x % 2][y % 4]
            styles[cell] = line.style
    picture = []
    for row in range(rows):
        text = Text()
        for column in range(width):
            bit = bits.get((row, column), 0)
            text.append(chr(_BRAILLE + bit) if bit else " ", styles.get((row, column)))
        picture.append(text)
    return picture


def _dots(values: Sequence[float | None], height: int, top: float) -> list[tuple[int, int]]:
    """Return the dots of one line, those between two neighbours included, counted from the top left."""
    dots: list[tuple[int, int]] = []
    before: int | None = None
    for x, value in enumerate(values):
        if value is None:
            before = None
            continue
        y = height - 1 - round(min(max(value / top, 0.0), 1.0) * (height - 1))
        reach = range(min(y, before), max(y, before) + 1) if before is not None else (y,)
        dots += [(x, between) for between in reach]
        before = y
    return dots


def _barred(lines: Sequence[Line], width: int, rows: int, top: float, glyphs: str) -> list[Text]:
    """Draw the first line as bars: for fonts without braille."""
    ramp = _ASCII if glyphs == "ascii" else _BLOCKS
    values = sampled(lines[0].values, width) if lines else [None] * width
    style = lines[0].style if lines else Style()
    eighths = [round(min((value or 0.0) / top, 1.0) * rows * 8) for value in values]
    return [
        Text("".join(ramp[min(max(e - (rows - 1 - row) * 8, 0), 8)] for e in eighths), style) for row in range(rows)
    ]


class Chart(Widget):
    """A title with the names and last values of its lines, and their plot; `empty` in place of a plot where nothing is known.

    Repaints when `show` brings something new.
    """

    DEFAULT_CSS = "Chart { height: 1fr; min-height: 4; }"

    def __init__(
        self,
        title: str,
        label: Callable[[float], str],
        *,
        glyphs: str = "braille",
        empty: str = "nothing measured yet",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._title = title
        self._label = label
        self._glyphs = glyphs
        self._lines: tuple[Line, ...] = ()
        self._ends = ("", "")

    def show(self, lines: Sequence[Line], ends: tuple[str, str]) -> None:
        """Take what is to be drawn; ends are the words at both ends of time."""
        if (tuple(lines), ends) != (self._lines, self._ends):
            self._lines, self._ends = tuple(lines), ends
            self.refresh()

    def render(self) -> RenderResult:
        """Return title and plot, or the title with the word that there is nothing yet."""
        width, height = self.size
        if not any(value is not None for line in self._lines for value in line.values):
            return Text.assemble((self._title, "bold"), (f"  {self._empty}", "dim"))
        plotted = plot(
            self._lines, width=width, height=max(2, height - 1), label=self._label, ends=self._ends, glyphs=self._glyphs
        )
        return Text("\n", no_wrap=True, end="").join([self._legend(width), *plotted])

    def _legend(self, width: int) -> Text:
        legend = Text(self._title, style="bold", no_wrap=True)
        for line in self._lines:
            last = next((v for v in reversed(line.values) if v is not None), None)
            peak = max((v for v in line.values if v is not None), default=None)
            if last is None or peak is None:
                continue
            legend.append(f"  {line.name} ", Style.combine([line.style, Style(bold=False)]))
            legend.append(f"{self._label(last)} (max {self._label(peak)})", Style(bold=False))
        legend.truncate(width, overflow="ellipsis")
        return legend
