"""The way from a model's Markdown to what a message holds. Text without any takes a short cut."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from workers.channels.incoming import clean
from workers.channels.split import EMPTY, LIMIT_UTF16, split

_SIGNS: Final = ("*", "_", "`", "~", "|", "[", "\\", "<", "\r", "++", "$$")
"""What may be Markdown wherever it stands."""

_LINE: Final = re.compile(r"[ \t]*(?:[-+>#]|\d{1,9}[.)](?:\s|$))| {4}| {0,3}\t")
"""What may be Markdown at the beginning of a line."""


class Part(NamedTuple):
    """One message of an answer. entities are the Bot API's, offsets in UTF-16 units. plain is the Markdown the part was
    made of, "" when that is text itself or does not fit into one message.
    """

    text: str
    entities: tuple[dict[str, Any], ...] = ()
    plain: str = ""


def render(text: str, *, limit: int = LIMIT_UTF16) -> list[Part]:
    """Return an answer in parts of at most `limit` (2 or more) UTF-16 units, in order, at least one, each visible.

    Each has at most 100 entities, none of them cut off, empty or beginning or ending in white space; no word is lost.
    Cuts fall on the borders of blocks, lines, sentences or words, in this order of liking; code and styles go on in
    the next part. Never raises.
    """
    if not _marked(text):
        return [Part(part) for part in split(text, limit)]
    # Imported with the first Markdown there is: markdown-it costs 30 ms and 1 MB.
    from workers.channels.markup.blocks import sheet_of
    from workers.channels.markup.cutting import cut

    source = clean(text.replace("\r\n", "\n").replace("\r", "\n")).strip("\n")
    sheet = sheet_of(source)
    if sheet is None:
        return [Part(part) for part in split(text, limit)]
    return cut(sheet, source, limit) or [Part(EMPTY)]


def _marked(text: str) -> bool:
    """Tell whether there may be Markdown in a text; of one without, only white space between lines would change."""
    return any(sign in text for sign in _SIGNS) or any(map(_LINE.match, text.split("\n")))
