"""Tools of MCP servers: whatever a server offers, as far as the bot's file allows it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from workers.errors import ToolFailed
from workers.llm.base import ToolSpec
from workers.tools.arguments import check
from workers.tools.base import Parts, Tool, ToolContext
from workers.tools.http import revealed
from workers.tools.servers import Offer, Server, Servers, Session

if TYPE_CHECKING:
    from config.schema import ToolSection

_STRANGE: Final = re.compile(r"[^A-Za-z0-9_-]")


def source(section: ToolSection, parts: Parts) -> McpSource:
    """Return the source of one `[[tools]]` table of kind mcp."""
    return McpSource(section, parts.servers, parts.bot_id)


class McpSource:
    """What one server offers; its process starts when a bot is first asked something."""

    def __init__(self, section: ToolSection, servers: Servers, bot_id: str) -> None:
        self.name = section.name
        self._bot_id = bot_id
        self._section = section
        self._servers = servers
        self._server = server_of(section, str(servers.root))
        self._session: Session | None = None
        self._offers: tuple[Offer, ...] = ()
        self._tools: tuple[McpTool, ...] = ()

    def current(self) -> bool:
        """Tell whether the server is there and offers what it did."""
        return self._session is not None and self._session.known(self._bot_id, self.name) is self._offers

    async def tools(self) -> Sequence[Tool]:
        """Return what the server offers and the bot's file allows."""
        try:
            session = self._session = self._servers.session(self.name, self._server)
        except ToolFailed:
            return ()
        offers = await session.offers(self._bot_id, self.name)
        if offers is not self._offers:
            self._offers = offers
            allowed = frozenset(self._section.allow)
            self._tools = tuple(
                [
                    McpTool(offer, self._section, session, self._bot_id)
                    for offer in offers
                    if not allowed or offer.name in allowed
                ]
            )
        return self._tools


class McpTool:
    """One tool of a server, under a name every provider takes."""

    def __init__(self, offer: Offer, section: ToolSection, session: Session, bot_id: str) -> None:
        self.timeout_s = section.timeout_s
        self._server = section.name
        self._bot_id = bot_id
        self.spec = ToolSpec(_STRANGE.sub("_", offer.name)[:64] or "tool", offer.description, offer.parameters)
        self._name = offer.name
        self._session = session

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> str:
        """Call it. Raises ToolFailed."""
        check(self.spec.parameters, arguments)
        return await self._session.call(self._name, arguments, self._bot_id, self._server)


def server_of(section: ToolSection, folder: str) -> Server:
    """Return what tells one server from another; a process runs in the fleet's folder."""
    if section.command:
        return Server(command=tuple(section.command), env=_pairs(section.env), folder=folder)
    return Server(url=revealed(section.url), headers=_pairs(section.headers))


def _pairs(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, revealed(value)) for name, value in values.items()))
