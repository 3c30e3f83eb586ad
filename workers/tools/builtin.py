"""The tools that come with botdeck: time, calculator, what is known of a person, next questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from store.profiles import MAX_NAME, MAX_VALUE, FactRefused
from workers.chat.rounds import SUGGEST
from workers.errors import ToolFailed
from workers.llm.base import ToolSpec
from workers.tools.arguments import check
from workers.tools.base import Parts, Tool, ToolContext, object_schema
from workers.tools.calculator import USAGE, calculate

if TYPE_CHECKING:
    from config.schema import BotConfig, ToolSection
    from store.profiles import Profiles

SUGGESTIONS: Final = 4
LONGEST_SUGGESTION: Final = 64
"""Next messages offered at most, and the characters of each."""

BY: Final = "bot"
"""Who wrote a fact the model asked to remember."""

_Do = Callable[[dict[str, Any], ToolContext], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """A tool of ours: its arguments are checked before `do` sees them."""

    spec: ToolSpec
    do: _Do
    timeout_s: float | None = None

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> str:
        """Do it. Raises ToolFailed, and StoreError of the tools that remember."""
        check(self.spec.parameters, arguments)
        return await self.do(arguments, context)


@dataclass(frozen=True, slots=True)
class BuiltinSource:
    """Tools that never change."""

    name: str
    offered: tuple[Tool, ...]

    def current(self) -> bool:
        """Tell that nothing changes."""
        return True

    async def tools(self) -> Sequence[Tool]:
        """Return them."""
        return self.offered


def source(section: ToolSection, parts: Parts) -> BuiltinSource:
    """Return the source of one `[[tools]]` table of kind builtin."""
    del parts
    made = _TOOLS[section.name]
    words = section.description or made.spec.description
    told = ToolSpec(made.spec.name, words, made.spec.parameters)
    return BuiltinSource("builtin", (BuiltinTool(told, made.do, section.timeout_s),))


def features(config: BotConfig) -> BuiltinSource:
    """Return the tools that come with `[memory] profile` and `[reply] suggestions`."""
    profile = _PROFILE if config.memory.profile else ()
    suggestions = (_SUGGEST,) if config.reply.suggestions else ()
    return BuiltinSource("botdeck", (*profile, *suggestions))


async def _time(arguments: dict[str, Any], context: ToolContext) -> str:
    name = arguments.get("zone") or context.spec.config.time_zone or "UTC"
    try:
        zone = UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolFailed(f"there is no time zone {name[:64]!r}; zones are named like Europe/Berlin") from None
    moment = datetime.fromtimestamp(context.now, zone)
    return f"{moment:%A}, {moment.isoformat(sep=' ', timespec='seconds')} ({name})"


async def _calculate(arguments: dict[str, Any], context: ToolContext) -> str:
    del context
    return calculate(arguments["expression"])


async def _remember(arguments: dict[str, Any], context: ToolContext) -> str:
    profiles, user_id = _profile(context)
    try:
        await profiles.set(
            context.client_id, user_id, arguments["fact"], arguments["value"], BY, int(context.now * 1000)
        )
    except FactRefused as error:
        raise ToolFailed(error.message) from None
    return "remembered"


async def _recall(arguments: dict[str, Any], context: ToolContext) -> str:
    del arguments
    profiles, user_id = _profile(context)
    return _listed(await profiles.all(context.client_id, user_id))


async def _forget(arguments: dict[str, Any], context: ToolContext) -> str:
    profiles, user_id = _profile(context)
    if not await profiles.delete(context.client_id, user_id, arguments["fact"]):
        known = _listed(await profiles.all(context.client_id, user_id))
        raise ToolFailed(f"nothing of that name is known. {known}")
    return "forgotten"


async def _suggest(arguments: dict[str, Any], context: ToolContext) -> str:
    offered = [" ".join(text.split())[:LONGEST_SUGGESTION] for text in arguments["replies"]]
    context.suggestions[:] = list(dict.fromkeys(filter(None, offered)))[:SUGGESTIONS]
    return "offered; answer now, without repeating them"


def _profile(context: ToolContext) -> tuple[Profiles, str]:
    if not context.user_id:
        raise ToolFailed("it is not known who speaks, so nothing is remembered of them")
    return context.partition.profiles, context.user_id


def _listed(known: Mapping[str, str]) -> str:
    return "\n".join(f"{fact}: {value}" for fact, value in known.items()) or "nothing is known of this person"


def _text(description: str, longest: int) -> dict[str, Any]:
    return {"type": "string", "description": description, "maxLength": longest}


def _tool(name: str, description: str, schema: dict[str, Any], do: _Do) -> BuiltinTool:
    return BuiltinTool(ToolSpec(name, description, schema), do)


_FACT: Final = _text("what the fact is about, in a word or two, such as name, city or diet", MAX_NAME)
_TOOLS: Final = {
    tool.spec.name: tool
    for tool in (
        _tool(
            "time",
            "Tell the date, the weekday and the time of this moment.",
            object_schema({"zone": _text("IANA name such as Europe/Berlin; leave it out for the usual zone", 64)}),
            _time,
        ),
        _tool(
            "calculator",
            "Work out an arithmetic expression.",
            object_schema({"expression": _text(f"of {USAGE}", 500)}, ["expression"]),
            _calculate,
        ),
    )
}
_PROFILE: Final = (
    _tool(
        "remember",
        "Remember something lasting about the person you talk to; a fact of that name is replaced.",
        object_schema({"fact": _FACT, "value": _text("what is so", MAX_VALUE)}, ["fact", "value"]),
        _remember,
    ),
    _tool("recall", "Tell all that is remembered about the person you talk to.", object_schema({}), _recall),
    _tool(
        "forget",
        "Forget one fact about the person you talk to.",
        object_schema({"fact": _FACT}, ["fact"]),
        _forget,
    ),
)
_SUGGEST: Final = _tool(
    SUGGEST,
    f"Offer the person up to {SUGGESTIONS} short next messages of theirs as buttons. Call it beside your answer.",
    object_schema(
        {
            "replies": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "description": f"what they may say next, in their words and language, up to {LONGEST_SUGGESTION} characters each",
            }
        },
        ["replies"],
    ),
    _suggest,
)
NAMES: Final = frozenset({tool.spec.name for tool in (*_PROFILE, _SUGGEST)})
"""The names that are taken while profile and suggestions are on."""
