"""Text as the server sees it: length in UTF-16 units, entities checked, HTML and Markdown parsed as far as bots use them."""

from __future__ import annotations

import html
import re
from typing import Any, Final

from console.sandbox.answers import Refused, bad_request

MAX_TEXT: Final = 4096
MAX_CAPTION: Final = 1024

Entity = dict[str, Any]

_TAGS: Final = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
}
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][\w-]*)((?:\s[^<>]*)?)>")
_HREF: Final = re.compile(r"""href\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))""")
_RESERVED: Final = frozenset("_*[]()~`>#+-=|{}.!")
_MARKS_V2: Final = (
    ("```", "pre"),
    ("||", "spoiler"),
    ("__", "underline"),
    ("`", "code"),
    ("*", "bold"),
    ("_", "italic"),
    ("~", "strikethrough"),
)
_MARKS_OLD: Final = (("```", "pre"), ("`", "code"), ("*", "bold"), ("_", "italic"))


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, the unit of every limit and offset of the Bot API."""
    if text.isascii():
        return len(text)
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def parse(text: str, mode: str) -> tuple[str, list[Entity]]:
    """Return text without its markup, and the entities found. Raises Refused ("can't parse entities")."""
    match mode.lower():
        case "":
            return text, []
        case "html":
            return _parse_html(text)
        case "markdownv2":
            return _Markdown(text, _MARKS_V2, strict=True).parse()
        case "markdown":
            return _Markdown(text, _MARKS_OLD, strict=False).parse()
    raise bad_request("unsupported parse_mode")


def _unparsed(what: str) -> Refused:
    return bad_request(f"can't parse entities: {what}")


def _parse_html(text: str) -> tuple[str, list[Entity]]:
    out: list[str] = []
    entities: list[Entity] = []
    open_tags: list[tuple[str, int, str]] = []
    place = length = 0
    for tag in [*_TAG.finditer(text), None]:
        piece = html.unescape(text[place : tag.start() if tag else len(text)])
        if "<" in piece and "<" in text[place : tag.start() if tag else len(text)]:
            raise _unparsed(f"Unclosed start tag at byte offset {len(text[:place].encode()) + piece.index('<')}")
        out.append(piece)
        length += utf16_length(piece)
        if tag is not None:
            place = tag.end()
            _html_tag(tag, length, open_tags, entities)
    if open_tags:
        raise _unparsed(f'Can\'t find end tag corresponding to start tag "{open_tags[-1][0]}"')
    return "".join(out), sorted(entities, key=lambda entity: (entity["offset"], -entity["length"]))


def _html_tag(tag: re.Match[str], length: int, open_tags: list[tuple[str, int, str]], entities: list[Entity]) -> None:
    closing, name, attributes = tag[1], tag[2].lower(), tag[3]
    offset = len(tag.string[: tag.start()].encode())
    if not closing:
        if name not in _TAGS and not (name == "span" and "tg-spoiler" in attributes):
            raise _unparsed(f'Unsupported start tag "{name}" at byte offset {offset}')
        href = _HREF.search(attributes)
        open_tags.append((name, length, next(filter(None, href.groups()), "") if href else ""))
        return
    if not open_tags:
        raise _unparsed(f"Unexpected end tag at byte offset {offset}")
    opened, start, url = open_tags.pop()
    if opened != name:
        raise _unparsed(f'Unmatched end tag at byte offset {offset}, expected "</{opened}>", found "</{name}>"')
    if length > start:
        entity = {"type": _TAGS.get(name, "spoiler"), "offset": start, "length": length - start}
        entities.append({**entity, "url": url} if name == "a" else entity)


class _Markdown:
    """One pass over Markdown text. strict = MarkdownV2, where reserved characters must be escaped."""

    def __init__(self, text: str, marks: tuple[tuple[str, str], ...], *, strict: bool) -> None:
        self._text = text
        self._marks = marks
        self._strict = strict
        self._out: list[str] = []
        self._length = 0
        self._entities: list[Entity] = []
        self._open: list[tuple[str, str, int, int]] = []

    def parse(self) -> tuple[str, list[Entity]]:
        place = 0
        while place < len(self._text):
            place = self._step(place)
        if self._open:
            _, kind, _, at = self._open[-1]
            what = f"{kind.capitalize()} entity" if self._strict else "the entity"
            raise _unparsed(f"Can't find end of {what} at byte offset {self._bytes(at)}")
        return "".join(self._out), sorted(self._entities, key=lambda entity: (entity["offset"], -entity["length"]))

    def _bytes(self, place: int) -> int:
        return len(self._text[:place].encode())

    def _put(self, character: str) -> None:
        self._out.append(character)
        self._length += utf16_length(character)

    def _step(self, place: int) -> int:
        text, character = self._text, self._text[place]
        if character == "\\" and place + 1 < len(text) and text[place + 1] in _RESERVED | {"\\"}:
            self._put(text[place + 1])
            return place + 2
        verbatim = self._open[-1][0] if self._open and self._open[-1][1] in {"code", "pre"} else ""
        for mark, kind in self._marks:
            if text.startswith(mark, place) and (not verbatim or mark == verbatim):
                self._mark(mark, kind, place)
                return place + len(mark)
        if not verbatim:
            link = re.compile(r"\[([^\[\]]*)\]\(([^()\s]*)\)").match(text, place) if character == "[" else None
            if link:
                return self._link(link)
            if self._strict and character in _RESERVED and not self._quote(place):
                raise _unparsed(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")
        self._put(character)
        return place + 1

    def _quote(self, place: int) -> bool:
        return self._text[place] == ">" and (place == 0 or self._text[place - 1] == "\n")

    def _link(self, link: re.Match[str]) -> int:
        start = self._length
        self._put(re.sub(r"\\(.)", r"\1", link[1]))
        self._entities.append({"type": "text_link", "offset": start, "length": self._length - start, "url": link[2]})
        return link.end()

    def _mark(self, mark: str, kind: str, place: int) -> None:
        if self._open and self._open[-1][0] == mark:
            _, _, start, _ = self._open.pop()
            if self._length > start:
                self._entities.append({"type": kind, "offset": start, "length": self._length - start})
        else:
            self._open.append((mark, kind, self._length, place))
