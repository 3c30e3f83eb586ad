"""What is registered, read: the part of a registry that changes nothing and makes no bot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from config.vocabulary import is_bot_id
from workers.errors import BotClosed, UnknownVersion
from workers.home import Home
from workers.registrations.base import Query, Registration, RegistryBackend
from workers.registrations.differences import Difference, differences
from workers.services import Services


class Register:
    """Reads a backend; opens what is needed at its first use. services None: those of home."""

    def __init__(self, backend: RegistryBackend, services: Services | None, home: Home) -> None:
        self.backend = backend
        self._services = services
        self._home = home
        self._opening = anyio.Lock()
        self._opened: Services | None = None
        self._closed = False

    async def initialize(self) -> None:
        """Open what is needed; otherwise the first use does. Safe to call twice. Raises StoreError, BotClosed."""
        await self._ready()

    async def _ready(self) -> Services:
        if self._opened is not None and not self._closed:
            return self._opened
        async with self._opening:
            if self._closed:
                raise BotClosed("the registry was closed")
            if self._opened is None:
                services = self._services or await self._home.services()
                await self.backend.initialize(services)
                self._opened = services
        return self._opened

    # --- what counts -------------------------------------------------------------------------------------------

    async def get_config(self, bot_id: str) -> dict[str, Any] | None:
        """Return a configuration as it was registered; None for a bot that is not. Raises StoreError."""
        found = await self.get_registration(bot_id)
        return found.config if found else None

    async def get_registration(self, bot_id: str) -> Registration | None:
        """Return a registration, active or not; None for a bot that is not registered. Raises StoreError."""
        await self._ready()
        found = await self.backend.get(bot_id) if is_bot_id(bot_id) else None
        return found if found is not None and found.status != "removed" else None

    async def exists(self, bot_id: str) -> bool:
        """Tell whether a bot is registered and active. Raises StoreError."""
        found = await self.get_registration(bot_id)
        return found is not None and found.status == "active"

    async def list_bots(
        self,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 (the name users know)
        sort: str = "bot_id",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[str]:
        """Return ids of registered bots; by default of the active ones, in order. Arguments as `list_registrations`."""
        return [found.bot_id for found in await self.list_registrations(filter, sort, limit, offset)]

    async def list_registrations(
        self,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 (as above)
        sort: str = "bot_id",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Registration]:
        """Return registrations, by default the active ones, by id.

        filter: "status" (a word or several of active, inactive, removed), "bot_id" (with `*` and `?`), "metadata.<name>". sort:
        bot_id, status, version, created_ms, updated_ms, with a `-` before it for the other way round. Raises ValueError,
        naming what is allowed; StoreError.
        """
        query = Query.of(filter, sort, limit, offset)
        await self._ready()
        return await self.backend.find(query)

    async def count(self, filter: Mapping[str, Any] | None = None) -> int:  # noqa: A002 (as above)
        """Return how many bots are registered, by default the active ones. Raises as `list_registrations`."""
        query = Query.of(filter)
        await self._ready()
        return await self.backend.count(query)

    # --- versions ----------------------------------------------------------------------------------------------

    async def history(self, bot_id: str) -> list[Registration]:
        """Return the versions of a registration that are kept, oldest first: the first, and the newest hundred."""
        await self._ready()
        return await self.backend.history(bot_id) if is_bot_id(bot_id) else []

    async def diff(self, bot_id: str, before: int, after: int) -> list[Difference]:
        """Return what changed from one version's configuration to another's. Raises UnknownVersion, a KeyError, for one there is not."""
        versions = await self._versions(bot_id, before, after)
        return differences(versions[before].config, versions[after].config)

    async def _versions(self, bot_id: str, *wanted: int) -> dict[int, Registration]:
        """Return a bot's versions by number. Raises UnknownVersion when one that is wanted is not there."""
        found = {version.version: version for version in await self.history(bot_id)}
        for version in wanted:
            if version not in found:
                there = ", ".join(map(str, found)) or "none"
                raise UnknownVersion(f"{bot_id} has no version {version}", f"there are: {there}")
        return found
