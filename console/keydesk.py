"""The keys of the HTTP API of a fleet of this process: made and revoked, and what was done written down."""

from __future__ import annotations

from config.vocabulary import FLEET
from console.base import Within
from console.keyholding import KeyAnswer, NewKeyAnswer


class KeyDesk(Within):
    """As Keyholder."""

    async def keys(self) -> list[KeyAnswer]:
        """As Keyholder.keys."""
        return self._fleet.keys.all()

    async def key_add(
        self, name: str, scope: str, *, client_id: str | None = None, days: float | None = None, actor: str
    ) -> NewKeyAnswer:
        """As Keyholder.key_add."""
        self._refuse_when_closing()
        made = await self._fleet.keys.add(name, scope, client_id, days, actor)
        of = f", of the client {client_id}" if client_id is not None else ""
        self._note("add key", FLEET, actor, f"{name} ({made['key_id']}) with the scope {scope}{of}")
        return made

    async def key_revoke(self, name: str, *, actor: str) -> KeyAnswer:
        """As Keyholder.key_revoke."""
        self._refuse_when_closing()
        gone = await self._fleet.keys.revoke(name)
        self._note("revoke key", FLEET, actor, f"{gone['name']} ({gone['key_id']})")
        return gone
