"""JSON nested deeper than anything is that means something: cut there, so that the rest of a batch can be read."""

from __future__ import annotations

import re
from typing import Final

DEEPEST: Final = 100
"""Levels that are kept. An update of people has a dozen; Python's own reader gives up somewhat below a thousand."""

# Possessive throughout, and always matching: the time it takes grows with the text and no faster, whatever is in it.
_NEXT_BRACKETS: Final = re.compile(r'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.?)*+(?:"|\Z))*+([\[{]++|[\]}]++|\Z)', re.DOTALL)


def shallow(text: str) -> str:
    """Return JSON with null in place of every value below DEEPEST levels. Text that is no JSON stays none."""
    kept, begin, depth = [], 0, 0
    for found in _NEXT_BRACKETS.finditer(text):
        brackets = found[1]
        before, depth = depth, depth + (len(brackets) if brackets[:1] in {"[", "{"} else -len(brackets))
        if before <= DEEPEST < depth:
            kept.append(text[begin : found.end() - (depth - DEEPEST)])
        elif depth <= DEEPEST < before:
            kept.append("null")
            begin = found.end() - (DEEPEST - depth)
    if depth <= DEEPEST:
        kept.append(text[begin:])
    return "".join(kept)
