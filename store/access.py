"""Who may talk to a bot, as far as it was decided at run time: people paired and blocked, and codes to pair with."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from store.known import Key, Known
from store.reader import Reader
from store.texts import storable
from store.writer import Writer

PAIRED: Final = "paired"
BLOCKED: Final = "blocked"
STATES: Final = (PAIRED, BLOCKED)

MAX_CODES: Final = 100
"""Codes of a bot that may wait to be used; beyond it the oldest goes."""

_SET: Final = (
    "INSERT INTO access (bot_id, user_id, state, name, actor, at_ms) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (bot_id, user_id) DO UPDATE SET state = excluded.state, actor = excluded.actor,"
    " name = CASE WHEN excluded.name = '' THEN name ELSE excluded.name END, at_ms = excluded.at_ms"
)
_REDEEM: Final = "DELETE FROM pairing_codes WHERE bot_id = ? AND digest = ? AND expires_ms > ? RETURNING actor"
_EXPIRED: Final = "DELETE FROM pairing_codes WHERE bot_id = ? AND expires_ms <= ?"
_TOO_MANY: Final = (
    "DELETE FROM pairing_codes WHERE bot_id = ?1 AND digest IN (SELECT digest FROM pairing_codes WHERE bot_id = ?1"
    " ORDER BY created_ms DESC, digest LIMIT -1 OFFSET ?2)"
)


@dataclass(frozen=True, slots=True)
class AccessRow:
    """One person a bot knows; state is paired or blocked, by says who decided it."""

    user_id: int
    state: str
    name: str
    by: str
    at_ms: int


def _size(state: str | None) -> int:
    return len(state or "")


class Access:
    """The people of one bot. Every write raises StoreError when the file refuses."""

    __slots__ = ("_bot_id", "_everybody", "_known", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader, known: Known) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader
        self._known = known
        self._everybody: Key = (bot_id, "access", "", "")

    async def get(self, user_id: int) -> str | None:
        """Return paired, blocked, or None for somebody nothing was decided about; from memory when asked before."""
        return await self._known.of((self._bot_id, "access", "", str(user_id)), lambda: self._read(user_id), _size)

    async def _read(self, user_id: int) -> str | None:
        sql = "SELECT state FROM access WHERE bot_id = ? AND user_id = ?"
        rows = await self._reader.fetch(sql, (self._bot_id, user_id))
        return str(rows[0][0]) if rows else None

    @property
    def nobody(self) -> bool:
        """Whether it is known, without asking the file, that nothing was decided about anybody."""
        return self._known.held(self._everybody) is False

    async def anybody(self) -> bool:
        """Tell whether anything was decided about anybody; from memory when asked before."""
        return await self._known.of(self._everybody, self._read_anybody, lambda _: 0)

    async def _read_anybody(self) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM access WHERE bot_id = ?)"
        return bool((await self._reader.fetch(sql, (self._bot_id,)))[0][0])

    async def all(self, limit: int | None = None) -> list[AccessRow]:
        """Return everybody something was decided about, latest first."""
        sql = (
            "SELECT user_id, state, name, actor, at_ms FROM access WHERE bot_id = ?"
            " ORDER BY at_ms DESC, user_id LIMIT ?"
        )
        return [
            AccessRow(*row) for row in await self._reader.fetch(sql, (self._bot_id, -1 if limit is None else limit))
        ]

    async def set(self, user_id: int, state: str, name: str, by: str, now_ms: int) -> None:
        """Decide about somebody; an empty name leaves the one that is known. Raises ValueError for another state."""
        if state not in STATES:
            raise ValueError(f"{state!r} is not one of {', '.join(STATES)}")
        row = (self._bot_id, user_id, state, storable(name), storable(by), now_ms)
        await self._writer.write(
            lambda connection: connection.execute(_SET, row).rowcount, committed=lambda _: self._changed(user_id)
        )

    async def remove(self, user_id: int) -> bool:
        """Know nothing of somebody any more; False when nothing was known."""
        sql = "DELETE FROM access WHERE bot_id = ? AND user_id = ?"
        return await self._writer.write(
            lambda connection: connection.execute(sql, (self._bot_id, user_id)).rowcount > 0,
            committed=lambda _: self._changed(user_id),
        )

    async def new_code(self, digest: str, expires_ms: int, by: str, now_ms: int) -> None:
        """Let whoever knows the code of this digest in, once, until it expires. Expired codes leave."""
        row = (self._bot_id, digest, expires_ms, storable(by), now_ms)

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(_EXPIRED, (self._bot_id, now_ms))
            connection.execute("INSERT OR REPLACE INTO pairing_codes VALUES (?, ?, ?, ?, ?)", row)
            connection.execute(_TOO_MANY, (self._bot_id, MAX_CODES))

        await self._writer.write(job)

    async def redeem(self, digest: str, user_id: int, name: str, now_ms: int) -> bool:
        """Use a code up and pair its bearer, in one transaction; False for one unknown, used or expired.

        Somebody blocked is not let in by a code, which stays unused, as it does for somebody paired already, for whom this
        is True: asked again after a fault, one code is used up once.
        """

        def job(connection: sqlite3.Connection) -> bool:
            sql = "SELECT state FROM access WHERE bot_id = ? AND user_id = ?"
            decided = connection.execute(sql, (self._bot_id, user_id)).fetchone()
            if decided is not None:
                return bool(decided == (PAIRED,))
            code = connection.execute(_REDEEM, (self._bot_id, digest, now_ms)).fetchone()
            if code is None:
                return False
            connection.execute(_SET, (self._bot_id, user_id, PAIRED, storable(name), code[0], now_ms))
            return True

        return await self._writer.write(job, committed=lambda _: self._changed(user_id))

    async def open_codes(self, now_ms: int) -> int:
        """Return how many codes wait to be used."""
        sql = "SELECT count(*) FROM pairing_codes WHERE bot_id = ? AND expires_ms > ?"
        return int((await self._reader.fetch(sql, (self._bot_id, now_ms)))[0][0])

    def _changed(self, user_id: int) -> None:
        self._known.changed((self._bot_id, "access", "", str(user_id)))
        self._known.changed(self._everybody)
