"""The words of botdeck: ids, phases, conditions, roles, secrets. Imports nothing of ours."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final

FLEET: Final = "_fleet"
"""Partition of rows that belong to no single bot. A bot_id cannot start with an underscore."""

BOT_ID_PATTERN: Final = r"[a-z0-9][a-z0-9_-]{0,49}"
_BOT_ID = re.compile(BOT_ID_PATTERN)

TOKEN_PATTERN: Final = r"(?<!\d)\d{6,}:[\w-]{30,}"
"""What a Telegram bot token looks like: numeric bot id, colon, secret part."""


PROVIDERS: Final = ("openai", "anthropic", "echo")
"""Names `[llm] provider` may hold; the registry of the providers has the same."""


def is_bot_id(text: str) -> bool:
    """Tell whether text may name a bot (and so a file and a partition)."""
    return _BOT_ID.fullmatch(text) is not None


class Phase(StrEnum):
    """Where a bot is in its life; exactly one at a time."""

    DISABLED = "disabled"
    INVALID = "invalid"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    QUARANTINED = "quarantined"


class Condition(StrEnum):
    """What else is true of a bot, beside its phase; any number at a time."""

    READY = "ready"
    CONFIG_CURRENT = "config_current"
    POLLING = "polling"
    MODEL_REACHABLE = "model_reachable"
    THROTTLED = "throttled"
    HUNG = "hung"
    TOKEN_IN_USE = "token_in_use"


class Desired(StrEnum):
    """What the operator wants of a bot."""

    RUN = "run"
    STOP = "stop"


class Role(StrEnum):
    """Who said a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Effect(StrEnum):
    """What it takes for a changed key to count, from least to most disturbance."""

    IN_PLACE = "in place"
    NEXT_TURN = "next turn"
    RESTART = "drained restart"
    FLEET = "fleet restart"


class Secret:
    """A string that never prints: repr, str and format give a mask; `reveal()` gives the text.

    Pickling and JSON-dumping a Secret is refused, so that it cannot slip into a file.
    """

    __slots__ = ("_text",)
    MASK: Final = "••••••"

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text. Only the code that sends it may call this."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({self.MASK!r})"

    def __str__(self) -> str:
        return self.MASK

    def __format__(self, spec: str) -> str:
        return format(self.MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not serialised")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let pydantic take a string for a Secret and dump its mask."""
        from pydantic_core import core_schema

        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(cls, core_schema.str_schema()),
            python_schema=core_schema.no_info_plain_validator_function(cls._wrap),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: cls.MASK),
        )

    @classmethod
    def _wrap(cls, value: Any) -> Secret:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError("a secret is a text")  # noqa: TRY004 (pydantic takes ValueError only)
        return cls(value)
