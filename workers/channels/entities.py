"""Entities of a message as they come: offsets are UTF-16 units, no type in them is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from workers.channels.base import Identity

MAX_ENTITIES: Final = 100
"""The Bot API's limit for one message."""

Entity = dict[str, Any]


class Command(NamedTuple):
    """A command at the beginning of a message. to is the @name behind it, in lower case, "" when there is none."""

    name: str
    to: str
    args: str


def usable(listed: object, text: str) -> tuple[Entity, ...]:
    """Return the entities of a text that have a type and lie within it."""
    if not isinstance(listed, list) or not listed:
        return ()
    units = length(text)
    return tuple([entity for entity in listed[:MAX_ENTITIES] if _lies_within(entity, units)])


def _lies_within(entity: object, units: int) -> bool:
    if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
        return False
    offset, size = entity.get("offset"), entity.get("length")
    return type(offset) is int and type(size) is int and offset >= 0 and size > 0 and offset + size <= units


def length(text: str) -> int:
    """Return the length of a text in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def part(text: str, offset: int, size: int | None = None) -> str:
    """Return a part of a text, given in UTF-16 units; what is cut through becomes U+FFFD."""
    end = None if size is None else offset + size
    if text.isascii():
        return text[offset:end]
    units = text.encode("utf-16-le", "surrogatepass")
    return units[offset * 2 : None if end is None else end * 2].decode("utf-16-le", "replace")


def command_of(text: str, entities: tuple[Entity, ...]) -> Command | None:
    """Return the command a message begins with."""
    for entity in entities:
        if entity["type"] == "bot_command" and entity["offset"] == 0:
            name, _, to = part(text, 1, entity["length"] - 1).partition("@")
            return Command(name.lower(), to.lower(), part(text, entity["length"]).strip())
    return None


def mentions(text: str, entities: tuple[Entity, ...], me: Identity) -> Iterator[Entity]:
    """Yield the entities that name the bot: its @name, alone or behind a command, or a link to it."""
    name = me.username.lower()
    for entity in entities:
        kind = entity["type"]
        if kind == "text_mention":
            user = entity.get("user")
            if isinstance(user, dict) and user.get("id") == me.id:
                yield entity
        elif kind in {"mention", "bot_command"} and name:
            word = part(text, entity["offset"], entity["length"]).lower()
            if word.partition("@")[2] == name:
                yield entity


def without_mention(text: str, entities: tuple[Entity, ...], me: Identity) -> str:
    """Return a text without the bot's name at its beginning and end; in the middle of a sentence it stays."""
    named = [entity for entity in mentions(text, entities, me) if entity["type"] != "bot_command"]
    end = length(text.rstrip())
    for entity in reversed(named):
        if entity["offset"] + entity["length"] == end:
            text = part(text, 0, entity["offset"]).rstrip()
            end = length(text)
    begin = len(text) - len(text.lstrip())
    for entity in named:
        if entity["offset"] == begin and begin < end:
            rest = part(text, entity["offset"] + entity["length"])
            gap = len(rest) - len(rest.lstrip(" \n,:;"))
            begin = entity["offset"] + entity["length"] + gap
    return part(text, begin).strip()
