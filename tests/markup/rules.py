"""Telegram's rules for a message, written from its documentation and not from our code, and what it means to lose a word."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

STYLES = {"bold", "italic", "underline", "strikethrough", "spoiler"}
CODE = {"code", "pre"}
QUOTES = {"blockquote", "expandable_blockquote"}
KNOWN = STYLES | CODE | QUOTES | {"text_link"}
REMOVED = set("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u0333\u033f\u030a\u2800\ufffc")
JOINERS = re.compile("\u200d|[\U0001f3fb-\U0001f3ff]")


def units(text: str) -> int:
    """The length the server counts."""
    return len(text.encode("utf-16-le")) // 2


def faults_of(text: str, entities: tuple[dict[str, Any], ...], limit: int) -> list[str]:
    """What the server would refuse, drop or change of a message; nothing for one it shows as it is."""
    wire = text.encode("utf-16-le")
    found = []
    if not 0 < len(wire) // 2 <= limit:
        found.append(f"{len(wire) // 2} units")
    if text != text.strip() or not _seen(text):
        found.append(f"not visible or not trimmed: {text[:20]!r}…{text[-20:]!r}")
    if len(entities) > 100:
        found.append(f"{len(entities)} entities")
    for entity in entities:
        found += _faults_of_entity(entity, wire)
    found += _crossings(entities)
    return found


def _seen(text: str) -> bool:
    return any(not c.isspace() and c not in REMOVED and unicodedata.category(c) not in {"Cf", "Cc"} for c in text)


def _faults_of_entity(entity: dict[str, Any], wire: bytes) -> list[str]:
    start, end, kind = entity["offset"], entity["offset"] + entity["length"], entity["type"]
    if kind not in KNOWN or set(entity) - {"type", "offset", "length", "url", "language"}:
        return [f"not an entity: {entity}"]
    if not 0 <= start < end <= len(wire) // 2:
        return [f"outside of the text: {entity}"]
    try:
        inside = wire[start * 2 : end * 2].decode("utf-16-le")
    except UnicodeDecodeError:
        return [f"cuts a character: {entity}"]
    faults = [] if inside == inside.strip() else [f"white space at its edge: {entity} {inside!r}"]
    if (kind == "text_link") != ("url" in entity) or ("language" in entity and kind != "pre"):
        faults.append(f"wrong extras: {entity}")
    if kind == "text_link" and not _reachable(entity["url"]):
        faults.append(f"no address: {entity}")
    return faults


def _reachable(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "tg":
        return True
    return parts.scheme in {"http", "https"} and "." in (parts.hostname or "") and not re.search(r"[\s<>\"]", url)


def _crossings(entities: tuple[dict[str, Any], ...]) -> list[str]:
    """Pairs that may not lie as they do."""
    found = []
    for number, one in enumerate(entities):
        for other in entities[number + 1 :]:
            a, b = one["offset"], one["offset"] + one["length"]
            c, d = other["offset"], other["offset"] + other["length"]
            if b <= c or d <= a:
                continue
            kinds = {one["type"], other["type"]}
            nested = (a <= c and d <= b) or (c <= a and b <= d)
            lonely = kinds & CODE and not (kinds & QUOTES)
            if not nested or lonely or len(kinds) == 1 or (len(kinds & QUOTES) == 2):
                found.append(f"{one} and {other}")
            elif kinds & QUOTES and not kinds & STYLES and not _quote_outside(one, other):
                found.append(f"{one} holds a quote: {other}")
    return found


def _quote_outside(one: dict[str, Any], other: dict[str, Any]) -> bool:
    inner, outer = sorted((one, other), key=lambda entity: entity["length"])
    return outer["type"] in QUOTES or inner["length"] == outer["length"]


WORD = re.compile(r"w\d+x")
"""The words of generated documents: no mark of Markdown is part of one, and each occurs once."""


def cut_characters(parts: list[str], source: str) -> list[str]:
    """Visible characters made of several that two parts share."""
    return [
        f"{before[-3:]!r} | {after[:3]!r}"
        for before, after in pairwise(parts)
        if before[-3:] + after[:3] in source
        and (
            after[0] == "\u200d"
            or JOINERS.match(after)
            or unicodedata.category(after[0]) in {"Mn", "Me"}
            or (before[-1] == "\u200d" and unicodedata.category(after[0]) == "So")
        )
    ]
