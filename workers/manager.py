"""Bots made by a program, by id: each built once, exchanged when it is loaded anew, and drained before it goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import anyio

from config.mapping import Foundation, Resources, environment_at, environment_of
from config.vocabulary import BOT_ID_PATTERN, is_bot_id
from workers.bot import Bot
from workers.clock import Clock, SystemClock
from workers.errors import BotClosed
from workers.flights import Flights
from workers.home import Home
from workers.loading import ConfigLoader, Loading
from workers.services import Services

ENVIRONMENTS: Final = "environments"


class BotManager:
    """Makes bots and keeps them, as many as are asked for, until they are removed. Belongs to one event loop.

    config_loader gives the configuration of a bot that is not there yet: a function of its id, a coroutine function, a
    callable object, or an object with `load`; functions that are no coroutines run in a thread. environment is what
    `$resource` takes from: a mapping of resources, or the name of a file in env_dir. base lies beneath every configuration.
    services are those of a running fleet; without them the manager opens database at the first bot (None: a temporary
    one, gone with `close`). Raises ConfigInvalid for a bad base or environment, TypeError for a loader that is none.
    """

    def __init__(
        self,
        config_loader: ConfigLoader | None = None,
        environment: Resources | str | None = None,
        *,
        env_dir: Path | str = ENVIRONMENTS,
        database: Path | str | None = None,
        services: Services | None = None,
        base: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        found = (
            environment_at(environment, Path(env_dir)) if isinstance(environment, str) else environment_of(environment)
        )
        self._foundation = Foundation(base, environment=found)
        self._loading = Loading(config_loader) if config_loader is not None else None
        self._services = services
        self._home = Home(Path(database) if database is not None else None, clock or SystemClock())
        self._bots: dict[str, Bot] = {}
        self._flights: Flights[Bot] = Flights()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- bots --------------------------------------------------------------------------------------------------

    async def get_or_create(self, bot_id: str, config: Mapping[str, Any] | None = None) -> Bot:
        """Return the bot of an id, made by config or what the loader gives when it is not there yet.

        Whoever asks while it is made waits for the same one; one that gives up stops it for nobody. Raises ValueError, naming
        the bot, for an id that is none and without config and loader; what the loader raises; LoaderUnusable when it gives
        no mapping; ConfigInvalid, with every problem; StoreError. A bot that could not be made is made anew when asked for.
        """
        bot = self._bots.get(bot_id)
        if bot is not None:
            return bot
        self._check(bot_id)
        if config is None and self._loading is None and bot_id not in self._flights:
            raise ValueError(f"there is no bot {bot_id}: give its configuration, or the manager a loader")
        return await self._flights.join(bot_id, lambda: self._make(bot_id, config))

    async def get(self, bot_id: str) -> Bot | None:
        """Return the bot of an id; None when it was not made yet."""
        return self._bots.get(bot_id)

    async def reload(self, bot_id: str) -> Bot:
        """Make a bot anew by what the loader gives now; return it when nobody is answered by the one before any more.

        Until the new one is made, and for good when it cannot be, the one before stays. Raises as `get_or_create`,
        ValueError also for a manager without a loader.
        """
        self._check(bot_id)
        if self._loading is None:
            raise ValueError(f"{bot_id} cannot be loaded anew: the manager has no loader")
        await self._flights.landed(bot_id)
        before = self._bots.get(bot_id)
        bot = await self._flights.join(bot_id, lambda: self._make(bot_id, None))
        if before is not None:
            await before.close()
        return bot

    async def remove(self, bot_id: str) -> bool:
        """Take a bot out, when the questions it was asked are answered; False when there is none.

        Its conversations stay in the database. One that is being made is waited for and goes too.
        """
        await self._flights.landed(bot_id)
        bot = self._bots.pop(bot_id, None)
        if bot is None:
            return False
        await bot.close()
        return True

    def list_bots(self) -> list[str]:
        """Return the ids of the bots that are there, in the order they were made."""
        return list(self._bots)

    def get_bot_count(self) -> int:
        """Return how many bots are there."""
        return len(self._bots)

    async def clear_all(self) -> None:
        """Remove all bots, side by side."""
        async with anyio.create_task_group() as group:
            for bot_id in dict.fromkeys((*self._bots, *self._flights)):
                group.start_soon(self.remove, bot_id, name=f"{bot_id}/removal")

    async def close(self) -> None:
        """Remove all bots and make no more; close the database if it is the manager's own. Safe to call twice.

        Loaders still under way are given up: who waits for one is told BotClosed.
        """
        self._closed = True
        await self._flights.close()
        await self.clear_all()
        await self._home.close()

    # --- making one --------------------------------------------------------------------------------------------

    def _check(self, bot_id: str) -> None:
        if self._closed:
            raise BotClosed(f"the manager of {bot_id} was closed")
        if not is_bot_id(bot_id):
            raise ValueError(f"{bot_id!r} cannot name a bot; it must match {BOT_ID_PATTERN}")

    async def _make(self, bot_id: str, config: Mapping[str, Any] | None) -> Bot:
        services = self._services or await self._home.services()
        if config is None:
            assert self._loading is not None, "asked before"
            config = await self._loading.load(bot_id)
        spec = self._foundation.spec_of(bot_id, config)
        services.redactor.learn(self._foundation.secrets | spec.secrets)
        bot = self._bots[bot_id] = Bot(bot_id, lambda: spec, services)
        return bot
