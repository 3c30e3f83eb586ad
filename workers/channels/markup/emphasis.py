"""Which of the marks * _ ~~ || ++ belong together, by CommonMark's rules, and by kinder ones where a text is cut off."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

_KINDS: Final = {"~": "strikethrough", "|": "spoiler", "+": "underline"}
_ASCII_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_WIDE: Final = "\u2e80"
"""Where scripts begin that set no blanks between words: a mark beside them needs none either."""

Stretch = tuple[int, int, str]
"""Number of the first node within, of the node behind the last, and the kind of the style."""


class Mark:
    """A run of one mark: which node of the line it is, its length, what of it is used, whether it may open or close."""

    __slots__ = ("closes", "left", "length", "node", "opens", "sign")

    def __init__(self, node: int, sign: str, length: int, opens: bool, closes: bool) -> None:
        self.node = node
        self.sign = sign
        self.length = length
        self.left = length
        self.opens = opens
        self.closes = closes


def flanks(text: str, start: int, end: int) -> tuple[bool, bool]:
    """Return whether the marks text[start:end] may open, and whether they may close."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    word_before, word_after = before.isalnum(), after.isalnum()
    if word_before and word_after:
        # Unlike CommonMark: 2*3*4 is a product.
        within = text[start] in "*~" and (end > start + 1 or before >= _WIDE or after >= _WIDE)
        return within, within
    blank_before, blank_after = before.isspace(), after.isspace()
    if (blank_before and word_after) or (word_before and blank_after):  # the usual case
        return word_after, word_before
    loose_before, loose_after = blank_before or _is_mark(before), blank_after or _is_mark(after)
    wide = before >= _WIDE or after >= _WIDE
    left = not blank_after and (not _is_mark(after) or loose_before or wide)
    right = not blank_before and (not _is_mark(before) or loose_after or wide)
    if text[start] in "*~":
        return left, right
    return left and (not right or loose_before), right and (not left or loose_after)


def _is_mark(character: str) -> bool:
    if character.isalnum():
        return False
    return character in _ASCII_PUNCTUATION or unicodedata.category(character)[0] in "PS"


def pair(marks: list[Mark], *, cut_off: int = 0) -> Iterator[Stretch]:
    """Yield what is between marks that belong together; `left` of each says how much of it stays text.

    cut_off: the number of nodes when the text ends here because it was cut: open ** and ~~ then reach to its end, and one
    with nothing behind it is dropped.
    """
    opened: list[Mark] = []
    floors: dict[tuple[str, bool, int], int] = {}
    for mark in marks:
        if mark.closes:
            yield from _close(mark, opened, floors)
        if mark.left and mark.opens:
            opened.append(mark)
    if cut_off:
        for mark in opened:
            if mark.left >= 2 and mark.sign in "*~":
                mark.left -= 2
                yield mark.node + 1, cut_off, _KINDS.get(mark.sign, "bold")


def _close(mark: Mark, opened: list[Mark], floors: dict[tuple[str, bool, int], int]) -> Iterator[Stretch]:
    key = (mark.sign, mark.opens, mark.length % 3)
    while mark.left:
        place = _opener(mark, opened, floors.get(key, 0))
        if place < 0:
            floors[key] = len(opened)
            return
        opener = opened[place]
        used = 2 if opener.left >= 2 and mark.left >= 2 else 1
        opener.left -= used
        mark.left -= used
        kind = _KINDS.get(mark.sign) or ("bold" if used == 2 else "italic")
        yield opener.node + 1, mark.node, kind
        del opened[place + (opener.left > 0) :]
        for other, floor in floors.items():
            floors[other] = min(floor, len(opened))


def _opener(mark: Mark, opened: list[Mark], floor: int) -> int:
    for place in range(len(opened) - 1, floor - 1, -1):
        opener = opened[place]
        if opener.sign == mark.sign and not _odd(opener, mark):
            return place
    return -1


def _odd(opener: Mark, closer: Mark) -> bool:
    """CommonMark's rule of three: *foo**bar*."""
    if not (opener.closes or closer.opens):
        return False
    return (opener.length + closer.length) % 3 == 0 and (opener.length % 3 != 0 or closer.length % 3 != 0)
