"""Registrations in memory: gone with the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from store.registrations import KEPT_VERSIONS, Query, RegistrationRow
from workers.registrations.base import Registration, encoded
from workers.services import Services


class MemoryBackend:
    """Keeps registrations for as long as it is there. Belongs to one event loop."""

    def __init__(self) -> None:
        self._rows: dict[str, list[RegistrationRow]] = {}

    async def initialize(self, services: Services) -> None:
        """Need nothing."""

    async def close(self) -> None:
        """Keep what there is: a registry closed and another made of the same backend go on."""

    async def put(
        self,
        bot_id: str,
        config: Mapping[str, Any] | None,
        status: str,
        metadata: Mapping[str, Any] | None,
        now_ms: int,
    ) -> Registration:
        """Append a version, as `RegistryBackend.put`."""
        rows = self._rows.get(bot_id, [])
        if rows:
            before = rows[-1]
        elif config is None or metadata is None:
            raise KeyError(bot_id)
        else:
            before = RegistrationRow(bot_id, 0, status, "{}", "{}", now_ms, now_ms)
        row = RegistrationRow(
            bot_id,
            before.version + 1,
            status,
            before.config if config is None else encoded(config),
            before.metadata if metadata is None else encoded(metadata),
            min(before.created_ms, now_ms),
            now_ms,
        )
        kept = [old for old in rows if old.version == 1 or old.version > row.version - KEPT_VERSIONS]
        self._rows[bot_id] = [*(replace(old, created_ms=row.created_ms) for old in kept), row]
        return Registration.of(row)

    async def get(self, bot_id: str) -> Registration | None:
        """Return the newest version."""
        rows = self._rows.get(bot_id)
        return Registration.of(rows[-1]) if rows else None

    async def history(self, bot_id: str) -> list[Registration]:
        """Return the versions that are kept, oldest first."""
        return [Registration.of(row) for row in self._rows.get(bot_id, [])]

    async def find(self, query: Query) -> list[Registration]:
        """Return the newest versions a query asks for."""
        found = sorted(self._found(query), key=lambda row: row.bot_id)
        found.sort(key=lambda row: getattr(row, query.sort), reverse=query.descending)
        end = None if query.limit is None else query.offset + query.limit
        return [Registration.of(row) for row in found[query.offset : end]]

    async def count(self, query: Query) -> int:
        """Return how many a query asks for."""
        return len(self._found(query))

    async def delete(self, bot_id: str) -> bool:
        """Delete every version of a bot."""
        return self._rows.pop(bot_id, None) is not None

    def _found(self, query: Query) -> list[RegistrationRow]:
        newest = (rows[-1] for rows in self._rows.values())
        return [row for row in newest if _matches(row, query)]


def _matches(row: RegistrationRow, query: Query) -> bool:
    if row.status not in query.statuses or not fnmatchcase(row.bot_id, query.pattern):
        return False
    if not query.metadata:
        return True
    metadata = Registration.of(row).metadata
    return all(
        name in metadata and type(metadata[name]) is type(value) and metadata[name] == value
        for name, value in query.metadata.items()
    )
