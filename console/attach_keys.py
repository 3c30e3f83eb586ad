"""Keys of the HTTP API, asked for over the control socket."""

from __future__ import annotations

from typing import cast

from console.keyholding import KeyAnswer, NewKeyAnswer
from console.wire import Wire


class RemoteKeys(Wire):
    """As Keyholder."""

    async def keys(self) -> list[KeyAnswer]:
        """As Keyholder.keys."""
        return cast("list[KeyAnswer]", await self._call("GET", "/v1/keys"))

    async def key_add(
        self, name: str, scope: str, *, client_id: str | None = None, days: float | None = None, actor: str
    ) -> NewKeyAnswer:
        """As Keyholder.key_add."""
        body = {"name": name, "scope": scope, "client_id": client_id, "days": days, "actor": actor}
        return cast("NewKeyAnswer", await self._order("/v1/keys", body))

    async def key_revoke(self, name: str, *, actor: str) -> KeyAnswer:
        """As Keyholder.key_revoke."""
        return cast("KeyAnswer", await self._order("/v1/keys/revoke", {"name": name, "actor": actor}))
