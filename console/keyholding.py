"""Keys of the HTTP API, as every Control makes, lists and revokes them."""

from __future__ import annotations

from typing import Protocol, TypedDict


class KeyAnswer(TypedDict):
    """One key, without what would let anybody in.

    client_id is the one client it reaches, None for all; by is who made it; moments are Unix seconds.
    """

    key_id: str
    name: str
    scope: str
    client_id: str | None
    by: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None
    good: bool


class NewKeyAnswer(KeyAnswer):
    """A key just made, and the key itself: it is told this once and kept nowhere."""

    key: str


class Keyholder(Protocol):
    """What a Control does with keys. Raises FleetErrors only."""

    async def keys(self) -> list[KeyAnswer]:
        """Return every key, revoked ones too, oldest first."""
        ...

    async def key_add(
        self, name: str, scope: str, *, client_id: str | None = None, days: float | None = None, actor: str
    ) -> NewKeyAnswer:
        """Make a key, good for so many days (None: until it is revoked). Raises BadRequest."""
        ...

    async def key_revoke(self, name: str, *, actor: str) -> KeyAnswer:
        """Let a key, by its name or id, be good no more from this moment on. Raises NoSuchKey."""
        ...
