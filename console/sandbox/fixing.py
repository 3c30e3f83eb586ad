"""Entities as the server puts them right before it shows a message, and what it refuses."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from console.sandbox.answers import Refused, bad_request

MAX_ENTITIES: Final = 100
FARTHEST: Final = 1_000_000

Entity = dict[str, Any]

STYLES: Final = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler"})
_QUOTES: Final = frozenset({"blockquote", "expandable_blockquote"})
_WHOLE: Final = frozenset({"code", "pre", "text_link", "text_mention", "custom_emoji", "date_time"})
_FOUND_BY_ITSELF: Final = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"}
)
_HOST: Final = re.compile(r"[\w.~!$&'()*+,;=%-]+\.[\w.~!$&'()*+,;=%-]+")


def fixed(listed: Any, text: str) -> list[Entity]:
    """Return the entities a text is shown with.

    Raises Refused for a wrong shape, a place outside of the text or within a character, and an address that is none.
    Empty ones are dropped, white space at their beginning is left out, those that cross each other or lie on code are
    dropped, and of more than 100 only the first are kept.
    """
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise bad_request("expected an Array of MessageEntity")
    wanted = [entity for entity in listed if _read(entity)["type"] not in _FOUND_BY_ITSELF]
    units = text.encode("utf-16-le", "surrogatepass")
    for entity in wanted:
        _place(entity, units)
    trimmed = [_trimmed(entity, units) for entity in wanted]
    kept = [entity for entity in trimmed if entity["length"] > 0]
    kept.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return _apart(kept)[:MAX_ENTITIES]


def _read(entity: Any) -> Entity:
    if not isinstance(entity, dict):
        raise _unparsed("expected an Object")
    for name in ("offset", "length"):
        if type(entity.get(name)) is not int:
            raise _unparsed(f'Field "{name}" must be of type Number')
    kind = entity.get("type")
    if not isinstance(kind, str):
        raise _unparsed('Field "type" must be of type String')
    if kind not in STYLES | _QUOTES | _WHOLE | _FOUND_BY_ITSELF:
        raise _unparsed("Unsupported type specified")
    if kind == "text_link":
        _check_address(entity.get("url"))
    return entity


def _unparsed(what: str) -> Refused:
    return bad_request(f"can't parse MessageEntity: {what}")


def _check_address(url: Any) -> None:
    if not isinstance(url, str):
        raise _unparsed('Field "url" must be of type String')
    if url.lower().startswith("tg:"):
        return
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host = (parts.hostname or "") if parts.port is None or parts.port <= 65535 else ""
    except ValueError:
        host = ""
    else:
        if parts.scheme not in {"http", "https"}:
            raise bad_request(f"entity URL '{url}' is invalid: Unsupported URL protocol")
    if _HOST.fullmatch(host) is None:
        raise bad_request(f"entity URL '{url}' is invalid: Wrong HTTP URL")


def _place(entity: Entity, units: bytes) -> None:
    offset, size = entity["offset"], entity["length"]
    for name, value in (("offset", offset), ("length", size)):
        if not 0 <= value <= FARTHEST:
            raise bad_request(f"receive an entity with incorrect {name} {value}")
    if not size:
        return
    if offset >= len(units) // 2:
        raise bad_request(f"entity begins after the end of the text at UTF-16 offset {offset}")
    if offset + size > len(units) // 2:
        what = f"entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 offset"
        raise bad_request(f"{what} {offset + size}")
    if _halves(units, offset) or _halves(units, offset + size):
        what = "begins" if _halves(units, offset) else "ends"
        raise bad_request(f"entity {what} in a middle of a UTF-16 symbol at UTF-16 offset {offset}")


def _halves(units: bytes, offset: int) -> bool:
    """Tell whether a place lies between the two units of one character."""
    return 0xDC <= (units[offset * 2 + 1] if offset * 2 + 1 < len(units) else 0) <= 0xDF


def _trimmed(entity: Entity, units: bytes) -> Entity:
    offset, end = entity["offset"], entity["offset"] + entity["length"]
    while offset < end and units[offset * 2 : offset * 2 + 2] in {b" \0", b"\n\0"}:
        offset += 1
    return {**entity, "offset": offset, "length": end - offset}


def _apart(entities: list[Entity]) -> list[Entity]:
    """Drop what crosses another, lies in code, or is a quote within a quote."""
    kept: list[Entity] = []
    around: list[Entity] = []
    for entity in entities:
        around = [other for other in around if _end(other) > entity["offset"]]
        if all(_may_hold(other, entity) for other in around):
            kept.append(entity)
            around.append(entity)
    return kept


def _end(entity: Entity) -> int:
    return int(entity["offset"] + entity["length"])


def _may_hold(outer: Entity, inner: Entity) -> bool:
    if _end(inner) > _end(outer):
        return outer["type"] in STYLES and inner["type"] in STYLES
    kinds = outer["type"], inner["type"]
    if kinds[0] in {"code", "pre"} or (kinds[0] in STYLES and kinds[1] in {"code", "pre"}):
        return False
    return not (kinds[0] in _WHOLE and kinds[1] in _WHOLE) and not (kinds[1] in _QUOTES and kinds[0] in _QUOTES)
