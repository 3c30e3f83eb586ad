"""The tools of a bot, and of a fleet: what a model is offered, and what becomes of its calls."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from workers.errors import ToolFailed
from workers.llm.base import ToolCall, ToolSpec
from workers.tools import KINDS
from workers.tools.arguments import read
from workers.tools.base import Parts, Source, Tool, ToolContext
from workers.tools.calling import Calls, Outcome
from workers.tools.modules import Modules
from workers.tools.servers import Servers
from workers.tools.threads import Threads

if TYPE_CHECKING:
    from config.schema import BotConfig
    from config.snapshot import BotSpec
    from workers.bus import Bus
    from workers.clock import Clock
    from workers.http import Http
    from workers.metrics import Metrics

logger = logging.getLogger(__name__)

KEPT: Final = 20_000
"""Toolboxes held; beyond it the one used longest ago is made anew when its bot is asked again."""


def has_tools(config: BotConfig) -> bool:
    """Tell whether a bot's model may call anything."""
    return bool(config.tools) or config.memory.profile or config.reply.suggestions


class Toolbox:
    """The tools of one bot, as its file says; for any number of turns at once.

    Falsy when the bot has none: it then costs nothing to ask it.
    """

    __slots__ = ("_calls", "_said", "_sources", "_specs", "_tools")

    def __init__(self, sources: Sequence[Source], calls: Calls) -> None:
        self._sources = tuple(sources)
        self._calls = calls
        self._specs: tuple[ToolSpec, ...] | None = None if self._sources else ()
        self._tools: dict[str, Tool] = {}
        self._said: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._sources)

    async def specs(self) -> tuple[ToolSpec, ...]:
        """Return what the model is offered in the turn that begins; () at once when the bot has no tools.

        Files that changed are loaded anew, servers are started. Never raises: what cannot be had is left out, and the
        operator is told. Cancelling is safe.
        """
        if self._specs is not None and all(source.current() for source in self._sources):
            return self._specs
        found = await self._found()
        self._tools = self._named(found)
        self._specs = tuple(
            [
                tool.spec if tool.spec.name == name else ToolSpec(name, tool.spec.description, tool.spec.parameters)
                for name, tool in self._tools.items()
            ]
        )
        return self._specs

    async def call(self, call: ToolCall, context: ToolContext) -> str:
        """Do what the model asks for; return what it is told. Never raises: errors are texts. Cancelling is safe."""
        return (await self.run(call, context)).text

    async def run(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Do what the model asks for, as `call`; tells also whether it went well."""
        if self._specs is None:
            await self.specs()
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return self._calls.refuse(call.name, context, f"there is no tool {call.name[:64]!r}; there are: {known}")
        try:
            arguments = read(call.arguments)
        except ToolFailed as error:
            return self._calls.refuse(call.name, context, error.message)
        return await self._calls.make(call.name, tool, arguments, context)

    async def _found(self) -> list[tuple[Source, Sequence[Tool]]]:
        """Ask every source, side by side: a server that starts slowly holds up no other."""
        found: list[Sequence[Tool]] = [()] * len(self._sources)

        async def ask(number: int, source: Source) -> None:
            found[number] = await source.tools()

        async with anyio.create_task_group() as group:
            for number, source in enumerate(self._sources):
                group.start_soon(ask, number, source)
        return list(zip(self._sources, found, strict=True))

    def _named(self, found: Iterable[tuple[Source, Sequence[Tool]]]) -> dict[str, Tool]:
        """Return the tools by the names the model calls them by; of two with one name the later gets its source's in front."""
        tools: dict[str, Tool] = {}
        for source, offered in found:
            for tool in offered:
                name = tool.spec.name
                if name in tools:
                    name = f"{source.name}_{name}"[:64]
                if name in tools:
                    self._tell_once(f"two tools are named {name}; the model is offered the first")
                else:
                    tools[name] = tool
        return tools

    def _tell_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            logger.warning("%s", text)


class Toolboxes:
    """The tools of a fleet: makes each bot's toolbox, and holds what they share.

    root is the fleet's folder, its Python tools lie in root/tools. clean takes secrets out of what tools say. Belongs to
    one event loop.
    """

    def __init__(
        self,
        root: Path,
        http: Http,
        clock: Clock,
        bus: Bus,
        metrics: Metrics,
        clean: Callable[[str], str] = str,
    ) -> None:
        self._calls = Calls(clock, bus, metrics, clean)
        threads = Threads()
        self._parts = Parts(
            root=root,
            http=http,
            clock=clock,
            clean=clean,
            threads=threads,
            modules=Modules(root, clock, bus, threads, clean),
            servers=Servers(root, clock, clean),
        )
        self._made: OrderedDict[str, tuple[str, Toolbox]] = OrderedDict()
        self._none: Final = Toolbox((), self._calls)

    async def open(self) -> None:
        """Let servers of tools be started from now on, each at its first use."""
        await self._parts.servers.open()

    async def close(self) -> None:
        """Stop the servers of tools, wait for no thread. Safe to be called twice; bounded to a few seconds."""
        await self._parts.servers.close()
        self._parts.threads.close()
        self._parts.modules.close()

    def of(self, spec: BotSpec) -> Toolbox:
        """Return the toolbox of a bot, made once for each state of its configuration."""
        if not has_tools(spec.config):
            self._made.pop(spec.bot_id, None)
            return self._none
        known = self._made.get(spec.bot_id)
        if known is None or known[0] != spec.digest:
            known = self._made[spec.bot_id] = (spec.digest, Toolbox(self._sources(spec), self._calls))
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(spec.bot_id)
        return known[1]

    def _sources(self, spec: BotSpec) -> list[Source]:
        parts = replace(self._parts, bot_id=spec.bot_id)
        sources = [_maker(section.kind)(section, parts) for section in spec.config.tools]
        if spec.config.memory.profile or spec.config.reply.suggestions:
            from workers.tools import builtin  # on use: a bot without tools loads none of them

            sources.append(builtin.features(spec.config))
        return sources


def _maker(kind: str) -> Callable[..., Source]:
    module, _, name = KINDS[kind].partition(":")
    maker: Callable[..., Source] = getattr(import_module(module), name)
    return maker
