"""What a registered bot is, and what keeps registrations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from store.registrations import Query, RegistrationRow
from workers.services import Services

__all__ = ["Query", "Registration", "RegistryBackend"]


@dataclass(frozen=True, slots=True)
class Registration:
    """One version of a bot's registration. Moments are Unix milliseconds: of its first version, and of this one.

    status is active, inactive (it answers nobody) or removed. config is as it was registered, references unresolved.
    """

    bot_id: str
    version: int
    status: str
    config: dict[str, Any]
    metadata: dict[str, Any]
    created_ms: int
    updated_ms: int

    @classmethod
    def of(cls, row: RegistrationRow) -> Self:
        """Return a stored row read."""
        config, metadata = json.loads(row.config), json.loads(row.metadata)
        return cls(row.bot_id, row.version, row.status, config, metadata, row.created_ms, row.updated_ms)

    def as_dict(self) -> dict[str, Any]:
        """Return it fit for JSON."""
        return asdict(self)


class RegistryBackend(Protocol):
    """Keeps versions of registrations. What is handed out is the caller's own; each method is one indivisible step.

    Every method may raise StoreError.
    """

    async def initialize(self, services: Services) -> None:
        """Be ready; called before anything else, and once."""
        ...

    async def close(self) -> None:
        """End; called last."""
        ...

    async def put(
        self,
        bot_id: str,
        config: Mapping[str, Any] | None,
        status: str,
        metadata: Mapping[str, Any] | None,
        now_ms: int,
    ) -> Registration:
        """Append a version and return it; config and metadata None are those of the version before.

        Raises KeyError when there is none to take them from.
        """
        ...

    async def get(self, bot_id: str) -> Registration | None:
        """Return the newest version, whatever its status; None when there is none."""
        ...

    async def history(self, bot_id: str) -> list[Registration]:
        """Return the versions that are kept, oldest first."""
        ...

    async def find(self, query: Query) -> list[Registration]:
        """Return the newest versions a query asks for."""
        ...

    async def count(self, query: Query) -> int:
        """Return how many a query asks for, whatever its limit and offset."""
        ...

    async def delete(self, bot_id: str) -> bool:
        """Delete every version of a bot; False when there was none."""
        ...


def encoded(value: Mapping[str, Any]) -> str:
    """Return a plain mapping as it is stored."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
