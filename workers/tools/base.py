"""What every tool promises. Kinds: `builtin`, `python`, `http`, `mcp`; `workers/tools/__init__.py` registers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from config.snapshot import BotSpec
from config.vocabulary import FLEET
from workers.llm.base import ToolSpec

if TYPE_CHECKING:
    from store.partition import Partition
    from workers.clock import Clock
    from workers.http import Http
    from workers.tools.modules import Modules
    from workers.tools.servers import Servers
    from workers.tools.threads import Threads


class Hearer(Protocol):
    """Who hears of the calls of one turn: `workers.underway.Underway`. It neither waits nor raises."""

    def calling(self, tool: str) -> Callable[[str], None]:
        """Take note that a tool is called; return what is to be told how that ended ("" = well)."""
        ...


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who asks, in one turn. user_id is "" when it is not known who spoke; now is Unix seconds.

    suggestions collects what the model offers as next questions during the turn; hears is told of its calls.
    """

    partition: Partition
    client_id: str
    conversation_id: str
    user_id: str
    update_id: int | None
    spec: BotSpec
    now: float
    suggestions: list[str] = field(default_factory=list)
    hears: Hearer | None = None
    session_metadata: Mapping[str, Any] = field(default_factory=dict)
    request_metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks. A function of the fleet's own that has an argument of this type is given it; the model is not told of it
    and cannot claim to be somebody else. user_id is "" when it is not known who spoke; the mappings are what a program said
    of its question.
    """

    bot_id: str
    client_id: str
    conversation_id: str
    user_id: str
    session_metadata: Mapping[str, Any] = field(default_factory=dict)
    request_metadata: Mapping[str, Any] = field(default_factory=dict)


class Tool(Protocol):
    """One thing a model may call. timeout_s bounds a call; None = the bot's `[limits] tool_timeout_s`."""

    @property
    def spec(self) -> ToolSpec:
        """Name, description and the JSON Schema of the arguments."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """Seconds a call may take."""
        ...

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> str:
        """Do it, return the result as text for the model. Raises ToolFailed, whose message is fit for the model.

        arguments is what the model wrote, a JSON object that is not checked yet. Cancelling is safe.
        """
        ...


class Source(Protocol):
    """One `[[tools]]` table, or the built-in tools of a feature: one tool, several, or none at the moment."""

    @property
    def name(self) -> str:
        """What tells its tools from another's of the same name."""
        ...

    def current(self) -> bool:
        """Tell whether `tools` would give at once what it gave last. Asked at every turn: microseconds."""
        ...

    async def tools(self) -> Sequence[Tool]:
        """Return the tools as they are now. Never raises: trouble is told to the operator. Cancelling is safe."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What tools of a fleet share. clean takes secrets out of a text; root is the fleet's folder; bot_id is whose tools are
    being made.
    """

    root: Path
    http: Http
    clock: Clock
    clean: Callable[[str], str]
    threads: Threads
    modules: Modules
    servers: Servers
    bot_id: str = FLEET


def object_schema(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON Schema of an object with these properties and no others."""
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return schema
