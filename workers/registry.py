"""Bots that programs register, by id: kept in versions, made when they are asked for, the used ones at hand.

A registration is a configuration that means the same on every machine (config/portability.py); the base configuration
of the registry lies beneath it, resources come from its environment.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from config.errors import ConfigInvalid
from config.mapping import Foundation, Resources
from config.vocabulary import is_bot_id
from store.errors import StoreError
from store.registrations import STATUSES
from workers.bot import Bot
from workers.clock import Clock, SystemClock
from workers.errors import UnknownBot
from workers.home import Home
from workers.manager import ENVIRONMENTS
from workers.registrations.base import Query, Registration, RegistryBackend
from workers.registrations.changes import Changes
from workers.registrations.living import Living, current
from workers.registrations.memory import MemoryBackend
from workers.registrations.reading import Reading
from workers.services import Services

logger = logging.getLogger(__name__)

RETRY_S: Final = 5.0
"""After so long a bot whose registration could not be read again is looked at again, or after cache_ttl."""
LONGEST: Final = 100
LOOKED_AT: Final = 200
"""Ids compared with one that is unknown."""


class BotRegistry(Changes):
    """Registers bots and hands them out. Use as an async context manager, or call `close`. Belongs to one event loop.

    backend keeps the registrations (default: in memory). environment is what `$resource` takes from: a mapping of resources,
    or the name of a file in env_dir. cache_ttl: seconds for which a bot is used without a look at its registration.
    max_cache_size: bots held; the least recently used is forgotten first. config_key: the table of a configuration that is
    the bot's, if there is one; else all of it is. config lies beneath every bot's own. services are those of a running
    fleet, foundation gives what its bots stand on, in place of config and environment. Without services the registry opens
    database at its first use (None: a temporary one, gone with `close`).

    Raises ValueError for limits that are none, ConfigInvalid for a bad config or environment.
    """

    def __init__(
        self,
        backend: RegistryBackend | None = None,
        environment: Resources | str | None = None,
        env_dir: Path | str = ENVIRONMENTS,
        cache_ttl: float = 300,
        max_cache_size: int = 1000,
        validate_on_register: bool = True,
        config_key: str = "bot",
        *,
        config: Mapping[str, Any] | None = None,
        database: Path | str | None = None,
        services: Services | None = None,
        clock: Clock | None = None,
        foundation: Callable[[], Foundation] | None = None,
    ) -> None:
        if not cache_ttl >= 0 or max_cache_size < 1:
            raise ValueError("cache_ttl is a time in seconds from 0, max_cache_size a number from 1")
        self.cache_ttl = cache_ttl
        self.max_cache_size = max_cache_size
        self._clock: Clock = clock or (services.clock if services else SystemClock())
        super().__init__(
            backend or MemoryBackend(),
            services,
            Home(Path(database) if database is not None else None, self._clock),
            Living(max_cache_size),
            Reading(config, environment, Path(env_dir), config_key, foundation),
            validate=validate_on_register,
        )

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let no bot answer any more, wait for the questions they were asked, close the database if it is the registry's own.

        Safe to call twice.
        """
        self._closed = True
        try:
            await self._flights.close()
            await self._living.close()
        finally:  # also when the caller has no patience
            self._living.forget()
            opened, self._opened = self._opened, None
            if opened is not None:
                await self.backend.close()
            await self._home.close()

    # --- bots --------------------------------------------------------------------------------------------------

    async def get_bot(self, bot_id: str, force_refresh: bool = False) -> Bot:
        """Return the bot of an id; the same object for as long as anybody holds it.

        Its registration is looked at when cache_ttl is over, or with force_refresh; a changed one counts from the bot's next
        question on, conversations go on. When it cannot be read or used any more, the bot goes on as it was, with a warning;
        with force_refresh that is raised, and the bot goes on. Many who ask at once have it made once. Raises UnknownBot, a
        KeyError that names the nearest id, when it is not registered or deactivated; ConfigInvalid, StoreError, BotClosed.
        """
        if not force_refresh:
            bot = self._living.fresh(bot_id, self._clock.monotonic())
            if bot is not None:
                return bot
            return await self._flights.join(bot_id, lambda: self._make(bot_id, strict=False))
        return await self._flights.renew(bot_id, lambda: self._make(bot_id, strict=True))

    def get_cached_bots(self) -> list[str]:
        """Return the ids of the bots held, least recently used first."""
        return self._living.ids()

    def clear_cache(self) -> Awaitable[None]:
        """Hold no bot any more: each is made anew when it is asked for; those in somebody's hands go on. May be awaited."""
        self._living.forget()
        return _Done()

    # --- older names -------------------------------------------------------------------------------------------

    async def register_client(self, client_id: str, bot_config: Mapping[str, Any]) -> Registration:
        """Do what `register` does: in older programs a client is a bot of its own."""
        return await self.register(client_id, bot_config)

    async def remove_client(self, client_id: str) -> bool:
        """Do what `unregister` does."""
        return await self.unregister(client_id)

    def get_cached_clients(self) -> list[str]:
        """Do what `get_cached_bots` does."""
        return self.get_cached_bots()

    # --- behind it ---------------------------------------------------------------------------------------------

    async def _make(self, bot_id: str, *, strict: bool) -> Bot:
        """Return the bot as it is registered now. Not strict: as it was, when what is registered cannot be used."""
        services = await self._ready()
        bot = self._living.there(bot_id)
        try:
            found = await self._newest(bot_id)
            if found is None or found.status != "active":
                self._living.shut(bot_id)
                raise await self._unknown(bot_id, found)
            spec = self._reading.spec(bot_id, found.config)
        except (ConfigInvalid, StoreError) as error:
            if strict or bot is None or bot.closed:
                raise
            logger.warning("%s goes on as it was: %s", bot_id, services.redact(str(error)), extra={"bot_id": bot_id})
            current(bot).fresh_until = self._clock.monotonic() + min(self.cache_ttl, RETRY_S)
            self._living.hold(bot)
            return bot
        services.redactor.learn(spec.secrets | self._reading.secrets)
        bot = self._living.keep(bot_id, spec, found.version, services)
        current(bot).fresh_until = self._clock.monotonic() + self.cache_ttl
        return bot

    async def _newest(self, bot_id: str) -> Registration | None:
        """Return a registration as it is at the moment this returns."""
        while True:
            self._outdated.discard(bot_id)
            found = await self.backend.get(bot_id) if is_bot_id(bot_id) else None
            if bot_id not in self._outdated:
                return found

    async def _unknown(self, bot_id: str, found: Registration | None) -> UnknownBot:
        if found is not None and found.status == "inactive":
            return UnknownBot(f"the bot {bot_id} is deactivated", "activate it")
        known = await self.backend.find(Query(pattern=f"{bot_id[:2]}*", limit=LOOKED_AT)) if is_bot_id(bot_id) else []
        known = known or await self.backend.find(Query(limit=LOOKED_AT))
        near = get_close_matches(bot_id[:LONGEST].lower(), [each.bot_id for each in known], n=1)
        hint = f"did you mean {near[0]}?" if near else "register it"
        return UnknownBot(f"no bot {bot_id[:LONGEST]!r} is registered", hint)


class InMemoryBotRegistry(BotRegistry):
    """A registry whose registrations are gone with it: for tests, and programs that keep them elsewhere.

    Conversations are kept in its database all the same, which is a temporary one unless it is named.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(MemoryBackend(), *given, **named)

    async def clear(self) -> None:
        """Take every bot out, with its versions. Raises StoreError."""
        for found in await self.list_registrations({"status": STATUSES}):
            await self.unregister(found.bot_id, keep_history=False)


def create_memory_registry(*given: Any, **named: Any) -> InMemoryBotRegistry:
    """Return a registry in memory; arguments as `BotRegistry` takes them, without backend."""
    return InMemoryBotRegistry(*given, **named)


class _Done:
    """Nothing to wait for, for those who wait."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()
