"""Which Markdown a stretch of the finished text was made of, worked out only for the places an answer is cut at."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple


class _Track(NamedTuple):
    """Text of a block: where its pieces begin in the answer and in the block, and the block's first line."""

    starts: list[int]
    places: list[int]
    text: str
    number: int


_NONE: Final[list[int]] = []


class Trace:
    """Places of the answer, noted in rising order, and the lines of the source they come from."""

    __slots__ = ("_at", "_begins", "_lines", "_tracks", "source")

    def __init__(self, source: str, lines: list[str]) -> None:
        self.source = source
        self._lines = lines
        self._at: list[int] = []
        self._tracks: list[_Track] = []
        self._begins: list[int] = []

    def note(self, at: int, number: int) -> None:
        """Note that the answer's text from a place on is the source's line of a number."""
        self._at.append(at)
        self._tracks.append(_Track(_NONE, _NONE, "", number))

    def follow(self, starts: list[int], places: list[int], text: str, number: int) -> None:
        """Note where the pieces of a block's text begin, in the answer and in that text, whose first line has a number."""
        self._at.append(starts[0])
        self._tracks.append(_Track(starts, places, text, number))

    def source_of(self, laid: str, place: int) -> int:
        """Return where in the source that begins which stands in the answer, laid, from a place on."""
        number = bisect_right(self._at, place) - 1
        known = [(0, 0)] if number < 0 else self._origins(self._at[number], self._tracks[number])
        later = self._origins(self._at[number + 1], self._tracks[number + 1]) if number + 1 < len(self._at) else []
        known += later or [(len(laid), len(self.source))]
        here = bisect_right(known, (place, len(self.source))) - 1
        at, before = known[max(here, 0)]
        after = max(before, known[here + 1][1]) if here + 1 < len(known) else len(self.source)
        between = laid[at:place]
        if between and "\n" not in between:
            return min(before + len(between), after)
        # A line begins here: what stands before its first word (a bullet, a fence) belongs to it.
        return max(self.source.rfind("\n", 0, after if between else before) + 1, before if between else 0)

    def _origins(self, at: int, track: _Track) -> list[tuple[int, int]]:
        number, begin, text = track.number, 0, track.text
        shift = self._shift(text, begin, number)
        if not track.places:
            return [(at, shift)]
        found = []
        for start, place in zip(track.starts, track.places, strict=False):
            found.append((start, place + shift))
            if text[place : place + 1] == "\n":
                number, begin = number + 1, place + 1
                shift = self._shift(text, begin, number)
        return found

    def _shift(self, text: str, begin: int, number: int) -> int:
        """Return what leads from a place of a block's line to the same place of the source."""
        end = text.find("\n", begin)
        wanted = text[begin : end if end >= 0 else len(text)].strip()
        if number >= len(self._lines):
            return len(self.source) - begin
        return self._begin_of(number) + max(self._lines[number].find(wanted), 0) - begin

    def _begin_of(self, number: int) -> int:
        if not self._begins:
            place = 0
            for line in self._lines:
                self._begins.append(place)
                place += len(line) + 1
        return self._begins[number]
