"""Long answers cut into parts a channel takes: at a paragraph, a line, a sentence, a word, in this order of liking."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from workers.channels.incoming import clean

LIMIT_UTF16: Final = 4096
"""Telegram's limit of a message, counted in UTF-16 units (an emoji is two)."""

EMPTY: Final = "…"
"""Sent in the place of an answer with nothing to see in it, which the server would refuse."""

_PARAGRAPH: Final = re.compile(r"\n[ \t]*\n")
LINE: Final = re.compile(r"\n")
# Full stops of Latin scripts count before white space only; those of Chinese and Japanese stand without any.
SENTENCE: Final = re.compile("[.!?\u2026]+[\"'\u00bb\u201d\u2019)\\]]*(?=\\s)|[\u3002\uff01\uff1f]+")
WORD: Final = re.compile(r"[^\S\u00a0\u2007\u202f]")
_BLANK: Final = frozenset("\u2800\ufffc\u0333\u033f\u030a")
"""Characters that are no space to Unicode, yet leave a message empty in the server's eyes; the last three it removes."""

_LONGEST_CLUSTER: Final = 64
_ZWJ: Final = "\u200d"


def split(text: str, limit: int = LIMIT_UTF16) -> list[str]:
    """Return text in parts of at most `limit` UTF-16 units, in order, at least one, none of them empty.

    Only white space between parts is dropped. A cut never falls into a surrogate pair, and into a visible character
    made of several (a flag, a family) only when that alone exceeds `limit`, which must be at least 2. Every part can
    be encoded: lone surrogates and NUL become U+FFFD. Text with nothing to see in it gives EMPTY.
    """
    text = clean(text).strip()
    if len(text) * 2 <= limit or utf16_length(text) <= limit:
        return [text] if visible(text) else [EMPTY]
    return [part for part in _parts(text, limit) if visible(part)] or [EMPTY]


def utf16_length(text: str) -> int:
    """Return the length of text as Telegram counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def visible(text: str) -> bool:
    """Tell whether there is anything to see in text, as the server judges it."""
    if text.isascii() and text.isprintable():
        return bool(text) and not text.isspace()
    return any(not (c.isspace() or c in _BLANK or unicodedata.category(c) in {"Cf", "Cc"}) for c in text)


def _parts(text: str, limit: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + fitting(text[start : start + limit], limit)
        if end < len(text):
            end = _border(text, start, end)
        if part := text[start:end].strip():
            yield part
        start = end


def fitting(window: str, limit: int) -> int:
    """Return how many characters from the window's start fit into limit units."""
    if window.isascii():
        return len(window)
    return len(window.encode("utf-16-le")[: limit * 2].decode("utf-16-le", "ignore"))


def _border(text: str, start: int, end: int) -> int:
    """Return the best place to cut in (start, end]."""
    # A nicer border that leaves a part more than half empty is not nicer: it makes more messages.
    half = start + (end - start) // 2
    for pattern in (_PARAGRAPH, LINE, SENTENCE):
        if cut := last(pattern, text, half, end):
            return between_clusters(text, start, cut)
    if text[end].isspace():
        return end
    return between_clusters(text, start, last(WORD, text, start, end) or end)


def last(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    """Return where the last match in text[start:end] ends, 0 when there is none."""
    found = 0
    for match in pattern.finditer(text, start, end):
        found = match.end()
    return found


def between_clusters(text: str, start: int, end: int) -> int:
    """Return the last place in (start, end] where no visible character is cut apart; end when there is none near."""
    if end >= len(text):
        return end
    for cut in range(end, max(start, end - _LONGEST_CLUSTER), -1):
        if not _joined(text, cut, start):
            return cut
    return end


def _joined(text: str, cut: int, start: int) -> bool:
    """Tell whether the characters before and after `cut` are seen as one (an approximation of UAX #29)."""
    before, after = text[cut - 1], text[cut]
    if _ZWJ in (before, after) or unicodedata.category(after) in {"Mn", "Me", "Mc"}:
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":  # skin tones, flag tags
        return True
    if _is_flag_half(before) and _is_flag_half(after):
        return _flag_halves_before(text, cut, start) % 2 == 1
    return 0 < _place_in_syllable(before) <= _place_in_syllable(after)


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_halves_before(text: str, cut: int, start: int) -> int:
    place = cut
    while place > start and _is_flag_half(text[place - 1]):
        place -= 1
    return cut - place


def _place_in_syllable(character: str) -> int:
    """Return 1, 2, 3 for the leading, middle and closing parts of a Hangul syllable, 0 for everything else."""
    if not "\u1100" <= character <= "\ud7fb":
        return 0
    for place, (first, last) in enumerate((("\u1100", "\u115f"), ("\u1160", "\u11a7"), ("\u11a8", "\u11ff")), 1):
        if first <= character <= last:
            return place
    return 0
