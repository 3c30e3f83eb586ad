"""A sheet cut into parts a message takes."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Final

from workers.channels.markup.answer import Part
from workers.channels.markup.sheet import Sheet
from workers.channels.split import LINE, SENTENCE, WORD, between_clusters, fitting, last, utf16_length, visible

MAX_ENTITIES: Final = 100
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
_EXTRAS: Final = {"text_link": "url", "pre": "language"}


def cut(sheet: Sheet, source: str, limit: int) -> list[Part]:
    """Return the visible parts of a sheet made from source, each of at most `limit` UTF-16 units."""
    places = [place for place in _places(sheet, limit) if visible(sheet.text[place[0] : place[1]])]
    if len(places) == 1:
        return [_part(sheet, *places[0], source, limit)]
    begins = [0, *(sheet.trace.source_of(sheet.text, start) for start, _ in places[1:]), len(source)]
    return [
        _part(sheet, start, end, source[begins[number] : begins[number + 1]], limit)
        for number, (start, end) in enumerate(places)
    ]


def _places(sheet: Sheet, limit: int) -> Iterator[tuple[int, int]]:
    text, starts = sheet.text, [span.start for span in sheet.spans]
    start = len(text) - len(text.lstrip())
    while start < len(text):
        end = start + fitting(text[start : start + limit], limit)
        end = max(min(end, _entities_end(sheet, starts, start)), start + 1)
        if end < len(text):
            end = _border(sheet, start, end)
        stop = end
        while stop > start and text[stop - 1].isspace():
            stop -= 1
        yield start, stop
        start = end
        while start < len(text) and text[start].isspace():
            start += 1


def _entities_end(sheet: Sheet, starts: list[int], start: int) -> int:
    """Return how far a part from start on may go until it would have too many entities."""
    first = bisect_left(starts, start)
    room = MAX_ENTITIES - sum(span.end > start for span in sheet.spans[:first])
    return starts[first + room] if first + room < len(starts) else len(sheet.text)


def _border(sheet: Sheet, start: int, end: int) -> int:
    """Return the best place to cut in (start, end], never inside of a link that begins after start."""
    # As for plain text, a nicer border that leaves a part more than half empty is not nicer.
    half, text = start + (end - start) // 2, sheet.text
    for borders in (sheet.blocks, sheet.items):
        place = bisect_right(borders, end) - 1
        if place >= 0 and borders[place] > half:
            return borders[place]
    found = last(LINE, text, half, end) or (0 if _in_code(sheet, end) else last(SENTENCE, text, half, end))
    if not found:
        found = end if text[end].isspace() else last(WORD, text, start, end) or end
    found = _before_link(sheet, start, between_clusters(text, start, found))
    return found if found > start else end


def _in_code(sheet: Sheet, place: int) -> bool:
    return any(span.kind == "pre" and span.start < place < span.end for span in sheet.spans)


def _before_link(sheet: Sheet, start: int, place: int) -> int:
    for span in sheet.spans:
        if span.start >= place:
            break
        if span.kind == "text_link" and start < span.start < place < span.end:
            return span.start
    return place


def _part(sheet: Sheet, start: int, end: int, source: str, limit: int) -> Part:
    text, source = sheet.text[start:end], source.strip()
    units = _units(text)
    entities = tuple(_entities(sheet, start, end, units))
    known = source == text or not visible(source) or utf16_length(source) > limit
    return Part(text, entities, "" if known else source)


def _entities(sheet: Sheet, start: int, end: int, units: Callable[[int], int]) -> Iterator[dict[str, Any]]:
    text, listed = sheet.text, []
    for first, after, kind, extra in sheet.spans:
        if first >= end:
            break
        if after <= start:
            continue
        first, after = max(first, start), min(after, end)  # noqa: PLW2901 - what of it lies in this part
        while first < after and text[first].isspace():
            first += 1  # noqa: PLW2901
        while first < after and text[after - 1].isspace():
            after -= 1  # noqa: PLW2901
        if first < after:
            listed.append((first, -after, kind, extra))
    # Trimmed, a span may begin after one that it held.
    listed.sort()
    for first, after, kind, extra in listed:
        offset = units(first - start)
        entity = {"type": kind, "offset": offset, "length": units(-after - start) - offset}
        if extra:
            entity[_EXTRAS[kind]] = extra
        yield entity


def _units(text: str) -> Callable[[int], int]:
    """Return what turns a place of text into UTF-16 units."""
    if len(text) == utf16_length(text):
        return int
    wide = [match.start() for match in _ASTRAL.finditer(text)]
    return lambda place: place + bisect_left(wide, place)
