"""How a line of a log looks: its moment, level and bot, then as much of its text as there is room for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from rich.segment import Segment
from rich.style import Style

from console.tui import words
from console.tui.widgets.cells import fitted, wrapped
from console.tui.widgets.ring import Line

LEVELS: Final = {"debug": "debug", "info": "info", "warning": "warn", "error": "ERROR", "critical": "CRIT"}
LEVEL_WIDTH: Final = 6
TAG_WIDTH: Final = 16
NOTE_WIDTH: Final = 17


class LineLook:
    """What of a line is seen. Rows of a line are counted from 0; without wrapping there is one."""

    def __init__(self) -> None:
        self.width = 80
        self.tagged = False
        """Whether each line names its bot."""
        self.dated = False
        """Whether each line names its day."""
        self.note_from = 160
        """From this width on each line has its note."""
        self.wrap = False
        self.shift = 0
        """How many characters of cut lines lie off to the left."""
        self.pattern: re.Pattern[str] | None = None
        """What a search looks for."""

    @property
    def prefix(self) -> int:
        """Cells before the text."""
        named = TAG_WIDTH + 1 if self.tagged else 0
        return (15 if self.dated else 9) + LEVEL_WIDTH + named + (NOTE_WIDTH + 1 if self.noted else 0)

    @property
    def noted(self) -> bool:
        """Whether there is room for the notes."""
        return self.width >= self.note_from

    @property
    def text_width(self) -> int:
        """Cells for the text."""
        return max(8, self.width - self.prefix)

    def head(self, line: Line, part: int) -> list[tuple[str, str]]:
        """Return what stands before the text of one row: texts and their roles."""
        if part:
            return [(" " * self.prefix, "")]
        moment = f"{words.day_and_clock(line.at)[5:]} " if self.dated else f"{words.clock(line.at)} "
        parts = [(moment, "time"), (fitted(LEVELS.get(line.level, line.level), LEVEL_WIDTH), line.level)]
        if self.tagged:
            parts.append((fitted(line.tag, TAG_WIDTH) + " ", "tag"))
        return [*parts, (fitted(line.note, NOTE_WIDTH) + " ", "note")] if self.noted else parts

    def text(self, line: Line, part: int) -> str:
        """Return the text of one row."""
        if not self.wrap:
            text = f"{line.text}: {_gist(line.more)}  ⏎ {line.more.count(chr(10)) + 1} more" if line.more else line.text
            return fitted(text[self.shift :], self.text_width).rstrip()
        pieces = wrapped(line.text, self.text_width)
        if part >= len(pieces):
            pieces += [piece for each in line.more.split("\n") for piece in wrapped(each, self.text_width)]
        return pieces[part]

    def row(self, line: Line, part: int) -> str:
        """Return one row as it is seen."""
        return "".join(text for text, _ in self.head(line, part)) + self.text(line, part)

    def segments(self, line: Line, part: int, style: Callable[[str], Style], base: Style | None) -> list[Segment]:
        """Return one row to be drawn; base, where given, is the style of all of it."""
        head = [Segment(text, base or style(role)) for text, role in self.head(line, part)]
        role = line.level if line.level in {"error", "critical", "debug"} else ""
        return [*head, *self._found(self.text(line, part), base or style(role), style("found"))]

    def _found(self, text: str, style: Style, found_style: Style) -> Iterator[Segment]:
        at = 0
        for found in self.pattern.finditer(text) if self.pattern else ():
            if found.end() > found.start():
                yield Segment(text[at : found.start()], style)
                yield Segment(found[0], found_style)
                at = found.end()
        yield Segment(text[at:], style)


def _gist(more: str) -> str:
    """Return what a trace says in the end: its last line."""
    return more.rpartition("\n")[2].strip()
