"""The MCP servers of a fleet: one session for each distinct server, in a task of its own.

A session lives and ends in its owner's task, whoever calls and whoever is cancelled meanwhile. A server that dies is
started again after a while, doubling from 1 s to 60 s; one that nobody asked for half an hour is stopped until it is needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import anyio.to_thread

from workers.backoff import delay_s
from workers.errors import ToolFailed
from workers.failure import cause_in, text_of
from workers.logbook import current_bot
from workers.tools.users import Users

if TYPE_CHECKING:
    from workers.clock import Clock

logger = logging.getLogger(__name__)

START_S: Final = 30.0
"""From starting a server to knowing its tools."""

WAIT_S: Final = 10.0
"""A turn waits so long for a server that starts, then goes on without its tools."""

STEADY_S: Final = 60.0
"""A session that lived so long ended for a reason of its own: the next try comes soon."""

RELIST_S: Final = 300.0
"""What a server offers is asked for again after this time: not every server tells of a change."""

IDLE_S: Final = 1800.0
CLOSE_S: Final = 5.0
LONGEST_WORDS: Final = 500
"""Characters shown of a line a server writes to its stderr."""

MISSING: Final = 'tools of kind "mcp" need a package that is not installed: pip install "botdeck[mcp]"'


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is reached: command, environment and folder of a process, or url and headers. Equal ones are one server."""

    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    folder: str = ""
    url: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """One tool as its server describes it."""

    name: str
    description: str
    parameters: dict[str, Any]


class Link(Protocol):
    """An open session. `ended` is set when the server has gone, `changed` when it offers something else."""

    ended: anyio.Event
    changed: anyio.Event

    async def offers(self) -> tuple[Offer, ...]:
        """Ask what the server offers."""
        ...

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool. Raises ToolFailed. Cancelling is safe, and told to the server."""
        ...


Connect = Callable[[Server, Callable[[str], None]], AbstractAsyncContextManager[Link]]


class Session:
    """One server, started when it is first asked for. `offers` never raises; `call` raises ToolFailed."""

    def __init__(self, name: str, server: Server, clock: Clock, clean: Callable[[str], str]) -> None:
        self._name = name
        self._server = server
        self._clock = clock
        self._clean = clean
        self._link: Link | None = None
        self._offers: tuple[Offer, ...] = ()
        self._moved = anyio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._scope: anyio.CancelScope | None = None
        self._trouble = ""
        self._resting = False
        self._asked_at = self._listed_at = 0.0
        self._users = Users(clock)
        self._last_words = ""

    async def offers(self, bot_id: str, name: str) -> tuple[Offer, ...]:
        """Return what the server offers; what it did when it is away, nothing when it was never reached.

        bot_id asks, for the server it calls name.
        """
        self._want(bot_id, name)
        with self._clock.deadline(WAIT_S):
            await self._settled()
        link = self._alive()
        if link is None:
            self._users.misses(bot_id)
        elif self._clock.monotonic() - self._listed_at > RELIST_S:
            link.changed.set()
        return self._offers

    def known(self, bot_id: str, name: str) -> tuple[Offer, ...] | None:
        """Return what the server offers when it is there and was asked lately; None when it is to be asked."""
        self._want(bot_id, name)
        fresh = self._alive() is not None and self._clock.monotonic() - self._listed_at <= RELIST_S
        return self._offers if fresh else None

    async def call(self, name: str, arguments: dict[str, Any], bot_id: str, server: str) -> str:
        """Call a tool of the server, which a bot calls so, waiting for one that starts. Raises ToolFailed. Cancelling is safe."""
        self._want(bot_id, server)
        await self._settled()
        link = self._alive()
        if link is None:
            self._users.misses(bot_id)
            raise ToolFailed(f"its server cannot be reached now: {self._trouble}")
        return await link.call(name, arguments)

    async def stop(self) -> None:
        """End the session and its server, within CLOSE_S and a little."""
        if self._owner is None or self._owner.done():
            return
        if self._scope is not None:
            self._scope.cancel()
        with anyio.CancelScope(shield=True), self._clock.deadline(CLOSE_S):
            await asyncio.wait([self._owner])
        if not self._owner.done():
            logger.warning("the MCP server %s does not end and is left", self._name)
            self._owner.cancel()

    def _want(self, bot_id: str, name: str) -> None:
        """Note that a bot asks; make sure there is an owner."""
        self._users.asks(bot_id, name)
        self._asked_at = self._clock.monotonic()
        if self._owner is None or self._owner.done():
            self._resting = False
            self._owner = asyncio.get_running_loop().create_task(self._own(), name=f"_fleet/mcp {self._name}")

    async def _settled(self) -> None:
        """Wait until the server is there, or known not to be."""
        while self._alive() is None and not self._resting:
            await self._moved.wait()

    def _alive(self) -> Link | None:
        return self._link if self._link is not None and not self._link.ended.is_set() else None

    def _move(self, link: Link | None, *, resting: bool) -> None:
        self._link, self._resting = link, resting
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    # --- the owner -------------------------------------------------------------------------------------------------

    async def _own(self) -> None:
        """Keep the session open until it is stopped or nobody wants it any more."""
        current_bot.set("_fleet")
        tries = 0
        with anyio.CancelScope() as self._scope:
            try:
                while not self._is_idle():
                    began = self._clock.monotonic()
                    if await self._once():
                        continue
                    tries = 0 if self._clock.monotonic() - began > STEADY_S else tries + 1
                    self._move(None, resting=True)
                    await self._clock.sleep(delay_s(max(0, tries - 1)))
                    self._move(None, resting=False)
            finally:
                self._trouble = self._trouble or "it was stopped"
                self._move(None, resting=True)

    def _is_idle(self) -> bool:
        return self._clock.monotonic() - self._asked_at >= IDLE_S

    async def _once(self) -> bool:
        """Run one session; tell whether it ended because nobody asked. Otherwise say why, the first time it ends so."""
        self._last_words = ""
        try:
            if await self._session():
                return True
            trouble = "it ended"
        except ToolFailed as error:
            trouble = error.message
        except Exception as error:  # noqa: BLE001 (the library's task groups bundle whatever a transport raises)
            trouble = text_of(cause_in(error), self._clean)
        if self._last_words:
            trouble = f"{trouble}; it last said: {self._last_words}"
        trouble = self._clean(trouble)
        if trouble != self._trouble:
            self._trouble = trouble
            self._users.lost(trouble)
        return False

    async def _session(self) -> bool:
        """Open a session and keep it; tell whether it ended because nobody asked. Raises what ended it else."""
        connect = await _library()
        opened = idle = False
        async with anyio.create_task_group() as group:
            patience = anyio.CancelScope()

            async def give_up() -> None:
                with patience:
                    await self._clock.sleep(START_S)
                    group.cancel_scope.cancel()

            group.start_soon(give_up)
            async with connect(self._server, self._note) as link:
                await self._list(link)
                opened = True
                patience.cancel()
                self._users.found(len(self._offers))
                idle = await self._live(link)
        if not opened:
            raise ToolFailed(f"it did not start in {START_S:g} s")
        return idle

    async def _live(self, link: Link) -> bool:
        """Keep the session until it ends (False) or nobody asks for it (True), and what it offers current."""
        self._trouble = ""
        self._move(link, resting=False)
        try:
            while not link.ended.is_set():
                rest_s = IDLE_S - (self._clock.monotonic() - self._asked_at)
                if rest_s <= 0:
                    logger.info("the MCP server %s is stopped until it is needed again", self._name)
                    return True
                with self._clock.deadline(rest_s):
                    await _either(link.ended, link.changed)
                if link.changed.is_set() and not link.ended.is_set():
                    link.changed = anyio.Event()
                    await self._list(link)
            return False
        finally:
            self._move(None, resting=False)

    async def _list(self, link: Link) -> None:
        self._offers = await link.offers()
        self._listed_at = self._clock.monotonic()

    def _note(self, line: str) -> None:
        """Take a line the server wrote to its stderr."""
        line = self._clean(line)[:LONGEST_WORDS]  # cut last: half a secret is one too
        self._last_words = line
        logger.debug("the MCP server %s says: %s", self._name, line)


class Servers:
    """The sessions of a fleet, one for each distinct server, whichever bots describe it."""

    def __init__(self, root: Path, clock: Clock, clean: Callable[[str], str] = str) -> None:
        self.root = root
        self._clock = clock
        self._clean = clean
        self._sessions: dict[Server, Session] = {}
        self._open = False

    async def open(self) -> None:
        """Let servers be started from now on."""
        self._open = True

    async def close(self) -> None:
        """Stop every server, side by side."""
        self._open = False
        sessions, self._sessions = list(self._sessions.values()), {}
        async with anyio.create_task_group() as group:
            for session in sessions:
                group.start_soon(session.stop)

    def session(self, name: str, server: Server) -> Session:
        """Return the session of a server; its name is that of the first who asked. Raises ToolFailed when closed."""
        if not self._open:
            raise ToolFailed("the fleet is shutting down")
        found = self._sessions.get(server)
        if found is None:
            found = self._sessions[server] = Session(name, server, self._clock, self._clean)
        return found


async def _library() -> Connect:
    """Return how to connect; importing the library takes half a second, in a thread. Raises ToolFailed without it."""
    try:
        return await anyio.to_thread.run_sync(_load)
    except ImportError:
        raise ToolFailed(MISSING) from None


def _load() -> Connect:
    from workers.tools.sessions import connect  # on use: 57 MB that a fleet without MCP servers does not need

    return connect


async def _either(*events: anyio.Event) -> None:
    """Wait until one of the events is set."""
    async with anyio.create_task_group() as group:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            group.cancel_scope.cancel()

        for event in events:
            group.start_soon(wait, event)
