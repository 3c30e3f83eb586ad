"""The lines a log pane holds: a bounded run of them, numbered so that a number keeps its line."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

CAPACITY: Final = 20_000
"""Lines kept while new ones come; as many older ones may be read in beside them."""


class Line(NamedTuple):
    """One line to be shown. tag is the bot, level the word of a log level, more what stands below (a traceback).

    note is shown where there is room: the kind of an event, the logger of a log line.
    """

    at: float
    level: str
    tag: str
    text: str
    more: str = ""
    note: str = ""


class Ring:
    """Lines by number. Numbers grow by one with each line appended and never change; the oldest lines fall out.

    `first` is the number of the oldest line kept, `end` the number the next one will have.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.first = 0
        self.dropped = 0
        """How many fell out since the last clear."""
        self._lines: deque[Line] = deque()

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def end(self) -> int:
        """The number after the newest line."""
        return self.first + len(self._lines)

    def __getitem__(self, number: int) -> Line:
        return self._lines[number - self.first]

    def clear(self) -> None:
        """Forget every line, and begin to number anew."""
        self._lines.clear()
        self.first = self.dropped = 0

    def append(self, lines: Sequence[Line]) -> int:
        """Add newer lines; return how many old ones fell out."""
        self._lines.extend(lines)
        return self._drop(len(self._lines) - 2 * self.capacity)

    def trim(self) -> int:
        """Let go what is beyond the capacity, when nobody reads it; return how many lines fell out."""
        return self._drop(len(self._lines) - self.capacity)

    def _drop(self, count: int) -> int:
        count = max(0, count)
        for _ in range(count):
            self._lines.popleft()
        self.first += count
        self.dropped += count
        return count

    def prepend(self, lines: Sequence[Line]) -> int:
        """Add older lines, oldest first, as far as there is room; return how many were taken."""
        room = 2 * self.capacity - len(self._lines)
        taken = lines[-room:] if room > 0 else []
        self._lines.extendleft(reversed(taken))
        self.first -= len(taken)
        return len(taken)

    def older(self, lines: Sequence[Line]) -> list[Line]:
        """Return those of the lines that are older than all here: what was read from the store may overlap."""
        if not self._lines:
            return list(lines)
        at = self._lines[0].at
        same = set()
        for line in self._lines:
            if line.at > at:
                break
            same.add(line)
        return [line for line in lines if line.at <= at and line not in same]

    def at(self, moment: float) -> int:
        """Return the number of the first line at or after a moment; `end` when all are older."""
        return self.first + bisect_left(self._lines, moment, key=lambda line: line.at)

    def find(self, test: Callable[[Line], bool], start: int, *, back: bool = False) -> int | None:
        """Return the number of the next line from start that passes a test, going round at the end; None for none."""
        count = len(self._lines)
        step = -1 if back else 1
        for offset in range(count):
            index = (start - self.first + step * offset) % count
            if test(self._lines[index]):
                return self.first + index
        return None

    def slice(self, first: int, end: int) -> Iterable[Line]:
        """Return the lines of a range of numbers."""
        return (self._lines[n - self.first] for n in range(max(first, self.first), min(end, self.end)))
