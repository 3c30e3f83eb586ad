"""Registrations in the database, beside the conversations of their bots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from store.database import Store
from store.registrations import Query
from workers.registrations.base import Registration, encoded
from workers.services import Services


class SqliteBackend:
    """Keeps registrations in the database of the registry it belongs to, or in a store of its own choice."""

    def __init__(self, store: Store | None = None) -> None:
        self._given = store
        self._opened: Store | None = None

    async def initialize(self, services: Services) -> None:
        """Use the store of the services, unless another was chosen."""
        self._opened = self._given or services.store

    async def close(self) -> None:
        """Leave the store to whoever opened it."""

    @property
    def _store(self) -> Store:
        assert self._opened is not None, "initialize() comes first"
        return self._opened

    async def put(
        self,
        bot_id: str,
        config: Mapping[str, Any] | None,
        status: str,
        metadata: Mapping[str, Any] | None,
        now_ms: int,
    ) -> Registration:
        """Append a version, as `RegistryBackend.put`."""
        texts = [None if given is None else encoded(given) for given in (config, metadata)]
        row = await self._store.partition(bot_id).registrations.put(texts[0], status, texts[1], now_ms)
        return Registration.of(row)

    async def get(self, bot_id: str) -> Registration | None:
        """Return the newest version."""
        row = await self._store.partition(bot_id).registrations.newest()
        return Registration.of(row) if row else None

    async def history(self, bot_id: str) -> list[Registration]:
        """Return the versions that are kept, oldest first."""
        return [Registration.of(row) for row in await self._store.partition(bot_id).registrations.history()]

    async def find(self, query: Query) -> list[Registration]:
        """Return the newest versions a query asks for."""
        return [Registration.of(row) for row in await self._store.registered(query)]

    async def count(self, query: Query) -> int:
        """Return how many a query asks for."""
        return await self._store.count_registered(query)

    async def delete(self, bot_id: str) -> bool:
        """Delete every version of a bot."""
        return await self._store.partition(bot_id).registrations.delete() > 0
