"""A whole answer as text and styles, before it is cut into parts. Places are characters, not UTF-16 units."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, NamedTuple

from workers.channels.markup.tracing import Trace

STYLES: Final = ("bold", "italic", "underline", "strikethrough", "spoiler")
"""Kinds that may lie in each other, but not in code."""

QUOTES: Final = ("blockquote", "expandable_blockquote")


class Span(NamedTuple):
    """A stretch of text that is something. extra is the address of a text_link, the language of a pre."""

    start: int
    end: int
    kind: str
    extra: str = ""


class Sheet(NamedTuple):
    """A whole answer. spans are sorted, the outer one first; blocks and items are the places it is best cut at."""

    text: str
    spans: list[Span]
    blocks: list[int]
    items: list[int]
    trace: Trace


def settled(spans: list[Span]) -> list[Span]:
    """Return spans as a message may have them: one of a kind at a place, no style on code, the outer one first."""
    styles: dict[str, list[Span]] = {kind: [] for kind in STYLES}
    found: list[Span] = []
    for span in spans:
        styles.get(span.kind, found).append(span)
    code = sorted(span for span in found if span.kind in {"code", "pre"})
    for same in styles.values():
        found += _off_code(_joined(same), code)
    found.sort(key=lambda span: (span.start, -span.end))
    return found


def _joined(spans: list[Span]) -> list[Span]:
    """Join spans of one kind that overlap."""
    if len(spans) < 2:
        return spans
    spans.sort()
    joined = [spans[0]]
    for span in spans[1:]:
        before = joined[-1]
        if span.start < before.end:
            joined[-1] = Span(before.start, max(before.end, span.end), span.kind)
        else:
            joined.append(span)
    return joined


def _off_code(spans: list[Span], code: list[Span]) -> list[Span]:
    """Leave out what lies on code: a message cannot show both."""
    if not code:
        return spans
    kept: list[Span] = []
    for span in spans:
        place, number = span.start, bisect_left(code, (span.start,))
        if number and code[number - 1].end > place:
            number -= 1
        while number < len(code) and code[number].start < span.end:
            if code[number].start > place:
                kept.append(Span(place, code[number].start, span.kind))
            place = max(place, code[number].end)
            number += 1
        if place < span.end:
            kept.append(span if place == span.start else Span(place, span.end, span.kind))
    return kept
