"""`[access]`, `[media]`, `[limits]`: who may send what, and how much."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from config.sections.base import Listed, Section, key
from config.vocabulary import Effect

_NAME = re.compile(r"@[A-Za-z][A-Za-z0-9_]{3,31}")
_ID = re.compile(r"-?[0-9]{1,18}")


def person(who: int | str) -> int | str:
    """Return an id or an "@name"; digits in quotes become the id. Raises ValueError for anything else."""
    if isinstance(who, str):
        if _ID.fullmatch(who):
            return int(who)
        if not _NAME.fullmatch(who):
            raise ValueError('a number, or "@name"')
    return who


Person = Annotated[int | str, AfterValidator(person)]
PERSON = 'a number, or "@name"'
PEOPLE = 'a list of ids and "@name"s'


class AccessSection(Section):
    """`[access]`: who may talk to the bot. `botdeck pair` and `botdeck access` add to it while it runs."""

    mode: Literal["open", "allowlist", "pairing"] = key(
        "open: everybody; allowlist: those named here; pairing: also who sends a code made by `botdeck pair`.",
        Effect.IN_PLACE,
        default="open",
    )
    allow: Listed[Person] = key(
        "People, or groups, that may talk to it.",
        Effect.IN_PLACE,
        default=(),
        example='[123456789, "@alice"]',
        allowed=PEOPLE,
        each=PERSON,
    )
    block: Listed[Person] = key(
        "People that may not, whatever else is said.",
        Effect.IN_PLACE,
        default=(),
        example='["@mallory"]',
        allowed=PEOPLE,
        each=PERSON,
    )
    admins: Listed[Person] = key(
        "People that always may, without limits.",
        Effect.IN_PLACE,
        default=(),
        example="[123456789]",
        allowed=PEOPLE,
        each=PERSON,
    )


class MediaSection(Section):
    """`[media]`: what of pictures and files is read."""

    images: bool = key("Whether pictures reach a model that sees them.", Effect.NEXT_TURN, default=True)
    documents: bool = key("Whether text documents are read.", Effect.NEXT_TURN, default=True)
    max_image_bytes: int = key("Largest picture taken.", Effect.NEXT_TURN, "bytes", default=5_000_000, ge=1)
    max_document_bytes: int = key("Largest document taken.", Effect.NEXT_TURN, "bytes", default=10_000_000, ge=1)
    max_document_chars: int = key(
        "How much of a document's text the model is told.", Effect.NEXT_TURN, "characters", default=50_000, ge=1
    )
    keep_media: bool = key("Whether bytes are kept beyond the turn.", Effect.NEXT_TURN, default=False)


class LimitsSection(Section):
    """`[limits]`: how much of the fleet one bot may take, one person of the bot, one turn of its tools."""

    max_open_updates: int = key(
        "Inbox back-pressure: polling waits above it. As many questions of programs may be open; more are refused.",
        Effect.IN_PLACE,
        "updates",
        default=1000,
        ge=1,
    )
    max_lanes: int = key(
        "Turns at once: of the channel, and as many of programs.", Effect.IN_PLACE, "turns", default=32, ge=1
    )
    tool_rounds: int = key(
        "How often the model may call tools before it has to answer.",
        Effect.NEXT_TURN,
        "rounds",
        default=5,
        ge=1,
        le=100,
    )
    tool_timeout_s: float = key("Limit of one tool's call.", Effect.NEXT_TURN, "s", default=20.0, gt=0, le=3600)
    tool_output_chars: int = key(
        "How much of a tool's result the model is told.", Effect.NEXT_TURN, "characters", default=8000, ge=100
    )
    tools_at_once: int = key("Calls of one turn made side by side.", Effect.NEXT_TURN, "calls", default=4, ge=1, le=32)
    client_per_min: int = key(
        "Questions of one client asked over the API or by a program; 0 = any number.",
        Effect.NEXT_TURN,
        "1/min",
        default=0,
        ge=0,
    )
    user_per_min: int = key("Messages of one person; 0 = any number.", Effect.NEXT_TURN, "1/min", default=0, ge=0)
    chat_per_min: int = key("Messages of one chat; 0 = any number.", Effect.NEXT_TURN, "1/min", default=0, ge=0)
    bot_per_min: int = key("Messages of all chats; 0 = any number.", Effect.NEXT_TURN, "1/min", default=0, ge=0)
