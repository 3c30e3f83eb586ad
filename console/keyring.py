"""The keys of the HTTP API as the running fleet knows them: looked up in memory, written down when they change."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from console.errors import BadRequest, NoSuchKey
from console.keyholding import KeyAnswer, NewKeyAnswer
from store.errors import StoreError
from store.keys import SCOPES, ApiKeys, KeyRow, digest_of, id_in, new_key
from workers.clock import Clock

NOTED_S: Final = 60.0
"""How often the moments keys were last used are written down."""
MOST: Final = 10_000
"""Keys of a fleet, revoked ones too: all are held in memory."""
LONGEST_NAME: Final = 64
LONGEST_CLIENT: Final = 128
"""As workers' BotContext has it."""
MS: Final = 1000
DAY_MS: Final = 86_400_000


class Keyring:
    """Every key of a fleet. Only one process writes them: the one that holds the fleet's lock."""

    def __init__(self, keys: ApiKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._rows: dict[str, KeyRow] = {}
        self._used: dict[str, int] = {}

    async def load(self) -> None:
        """Read the keys. Raises StoreError."""
        self._rows = {row.key_id: row for row in await self._keys.all()}

    @property
    def any_good(self) -> bool:
        """Whether anybody could come in with a key."""
        now_ms = self._now_ms()
        return any(row.good(now_ms) for row in self._rows.values())

    def find(self, key: str) -> KeyRow | None:
        """Return the row of a key that is good now, and note that it is used; None for any other text."""
        row = self._rows.get(id_in(key))
        now_ms = self._now_ms()
        if row is None or not row.fits(key) or not row.good(now_ms):
            return None
        self._used[row.key_id] = now_ms
        return row

    def good(self, key_id: str) -> bool:
        """Tell whether a key that was found before is good still."""
        row = self._rows.get(key_id)
        return row is not None and row.good(self._now_ms())

    def all(self) -> list[KeyAnswer]:
        """Return every key, oldest first, without what would let anybody in."""
        return [self._shown(row) for row in self._rows.values()]

    async def add(self, name: str, scope: str, client_id: str | None, days: float | None, actor: str) -> NewKeyAnswer:
        """Make a key; it is in the answer, and nowhere else. Raises BadRequest, StoreError."""
        self._check(name, scope, client_id, days)
        key, key_id = new_key()
        now_ms = self._now_ms()
        expires_ms = now_ms + int(days * DAY_MS) if days is not None else None
        row = KeyRow(key_id, digest_of(key), name, scope, client_id, actor, now_ms, expires_ms)
        await self._keys.add(row)
        self._rows[key_id] = row
        return {**self._shown(row), "key": key}

    async def revoke(self, name: str) -> KeyAnswer:
        """Let a key, by its id or its name, be good no more, from this moment on. Raises NoSuchKey, StoreError."""
        row = self._named(name)
        now_ms = self._now_ms()
        # In memory first: a key to be revoked is not to live on because the disk refuses.
        self._rows[row.key_id] = replace(row, revoked_ms=row.revoked_ms or now_ms)
        await self._keys.revoke(row.key_id, now_ms)
        return self._shown(self._rows[row.key_id])

    async def run(self) -> None:
        """Write down when keys were used, until cancelled."""
        while True:
            await self._clock.sleep(NOTED_S)
            await self.note()

    async def note(self) -> None:
        """Write down when keys were used since the last time; what the store refuses waits for the next."""
        used, self._used = self._used, {}
        self._rows |= {k: replace(self._rows[k], used_ms=at) for k, at in used.items() if k in self._rows}
        if not used:
            return
        try:
            await self._keys.used(used.items())
        except StoreError:
            self._used = used | self._used

    def _named(self, name: str) -> KeyRow:
        row = self._rows.get(name)
        if row is not None:
            return row
        found = [row for row in self._rows.values() if row.name == name and row.revoked_ms is None]
        if not found:
            raise NoSuchKey(f"no such key: {name}", "`botdeck key list` names them")
        return found[0]

    def _check(self, name: str, scope: str, client_id: str | None, days: float | None) -> None:
        if not (0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()):
            raise BadRequest(f"a key's name has 1 to {LONGEST_NAME} printable characters")
        if scope not in SCOPES:
            raise BadRequest(f"a key's scope is {', '.join(SCOPES[:-1])} or {SCOPES[-1]}")
        if client_id is not None and not (0 < len(client_id) <= LONGEST_CLIENT and client_id.isprintable()):
            raise BadRequest(f"a client's id has 1 to {LONGEST_CLIENT} printable characters")
        if days is not None and not 0 < days <= 36_500:
            raise BadRequest("a key is good for some days, at most 36500")
        if any(row.name == name and row.revoked_ms is None for row in self._rows.values()):
            raise BadRequest(f"there is a key {name} already", "revoke it first, or name this one otherwise")
        if len(self._rows) >= MOST:
            raise BadRequest(f"there are {MOST} keys already")

    def _shown(self, row: KeyRow) -> KeyAnswer:
        used_ms = self._used.get(row.key_id, row.used_ms)
        return {
            "key_id": row.key_id,
            "name": row.name,
            "scope": row.scope,
            "client_id": row.client_id,
            "by": row.actor,
            "created_at": row.created_ms / MS,
            "expires_at": _seconds(row.expires_ms),
            "used_at": _seconds(used_ms),
            "revoked_at": _seconds(row.revoked_ms),
            "good": row.good(self._now_ms()),
        }

    def _now_ms(self) -> int:
        return int(self._clock.now() * MS)


def _seconds(at_ms: int | None) -> float | None:
    return None if at_ms is None else at_ms / MS
