"""Keys of the HTTP API: who may ask for what. Of a key itself nothing is stored but its digest.

A key is `bdk_<id>_<secret>`. Its id tells it apart and is no secret; the secret has 256 bits, so that one SHA-256 is a
digest nobody can search.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from config.vocabulary import FLEET
from store.reader import Reader
from store.texts import storable
from store.writer import Writer

SCOPES: Final = ("read", "operate", "admin")
"""What a key may, from least to most; each holds those before it."""
PREFIX: Final = "bdk"
KEY_PATTERN: Final = r"bdk_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}"
"""What a key looks like, wherever it stands."""

_ALPHABET: Final = string.digits + string.ascii_letters
_ID: Final = 8
_SECRET: Final = 43
"""Characters out of 62: 256 bits."""
_COLUMNS: Final = "key_id, digest, name, scope, client_id, actor, created_ms, expires_ms, used_ms, revoked_ms"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key as it is stored. client_id: the one client it reaches; actor: who made it."""

    key_id: str
    digest: str
    name: str
    scope: str
    client_id: str | None
    actor: str
    created_ms: int
    expires_ms: int | None = None
    used_ms: int | None = None
    revoked_ms: int | None = None

    def good(self, now_ms: float) -> bool:
        """Tell whether it is neither revoked nor expired."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)

    def fits(self, key: str) -> bool:
        """Tell whether this is the key, in a time that does not depend on how much of it is right."""
        return hmac.compare_digest(self.digest, digest_of(key))


def new_key() -> tuple[str, str]:
    """Return a new key and its id."""
    key_id, secret = ("".join(secrets.choice(_ALPHABET) for _ in range(size)) for size in (_ID, _SECRET))
    return f"{PREFIX}_{key_id}_{secret}", key_id


def id_in(key: str) -> str:
    """Return the id a key names; empty when it is none of ours."""
    parts = key.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == PREFIX and len(parts[1]) == _ID else ""


def digest_of(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKeys:
    """The keys of one fleet. Every write raises StoreError when the file refuses."""

    __slots__ = ("_reader", "_writer")

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def all(self) -> list[KeyRow]:
        """Return every key, revoked ones too, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM api_keys WHERE bot_id = ? ORDER BY created_ms, key_id"
        return [KeyRow(*row) for row in await self._reader.fetch(sql, (FLEET,))]

    async def add(self, row: KeyRow) -> None:
        """Write a new key down."""
        values = (
            *(FLEET, row.key_id, row.digest, storable(row.name), row.scope, row.client_id, storable(row.actor)),
            *(row.created_ms, row.expires_ms, row.used_ms, row.revoked_ms),
        )
        sql = f"INSERT INTO api_keys (bot_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        await self._writer.write(lambda connection: connection.execute(sql, values).rowcount)

    async def revoke(self, key_id: str, now_ms: int) -> bool:
        """Let a key be good no more, for ever; False when there is none, or it was revoked before."""
        sql = "UPDATE api_keys SET revoked_ms = ? WHERE bot_id = ? AND key_id = ? AND revoked_ms IS NULL"
        return await self._writer.write(lambda c: c.execute(sql, (now_ms, FLEET, key_id)).rowcount > 0)

    async def used(self, uses: Iterable[tuple[str, int]]) -> None:
        """Note when keys were last used, as (id, moment)."""
        rows = [(used_ms, FLEET, key_id) for key_id, used_ms in uses]
        sql = "UPDATE api_keys SET used_ms = ? WHERE bot_id = ? AND key_id = ?"
        await self._writer.write(lambda c: c.executemany(sql, rows).rowcount)
