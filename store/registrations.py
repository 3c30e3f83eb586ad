"""Versions of a bot's registered configuration, for programs that register bots beside the folder's.

The newest version is the one that counts; a bot that was removed has a version that says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Final, Self

from store.reader import Reader
from store.texts import storable
from store.writer import Writer

STATUSES: Final = ("active", "inactive", "removed")
KEPT_VERSIONS: Final = 100
"""Versions kept of one bot, and the first."""

_COLUMNS: Final = "bot_id, version, status, config, metadata, created_ms"
_SORTS: Final = {
    "bot_id": "n.bot_id",
    "status": "r.status",
    "version": "r.version",
    "created_ms": "n.created_ms",
    "updated_ms": "r.created_ms",
}
_METADATA: Final = "metadata."
_TYPES: Final = {bool: "", int: "integer", float: "real", str: "text", type(None): "null"}
_NEWEST: Final = (
    "WITH n AS (SELECT bot_id, max(version) AS version, min(created_ms) AS created_ms FROM registrations GROUP BY bot_id)"
    " SELECT {columns} FROM n JOIN registrations r ON r.bot_id = n.bot_id AND r.version = n.version WHERE {where}"
)
_HISTORY: Final = (
    "SELECT bot_id, version, status, config, metadata,"
    " (SELECT min(created_ms) FROM registrations WHERE bot_id = r.bot_id), created_ms"
    " FROM registrations r WHERE bot_id = ? ORDER BY version DESC"
)
_WHOLE: Final = "n.bot_id, r.version, r.status, r.config, r.metadata, n.created_ms, r.created_ms"


@dataclass(frozen=True, slots=True)
class RegistrationRow:
    """One version; config and metadata are JSON objects. created_ms is of the bot's first version, updated_ms of this."""

    bot_id: str
    version: int
    status: str
    config: str
    metadata: str
    created_ms: int
    updated_ms: int


Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Query:
    """Which bots, by their newest version, in which order. Made by `of`."""

    statuses: tuple[str, ...] = ("active",)
    pattern: str = "*"
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    sort: str = "bot_id"
    descending: bool = False
    limit: int | None = None
    offset: int = 0

    @classmethod
    def of(
        cls, wanted: Mapping[str, Any] | None = None, sort: str = "bot_id", limit: int | None = None, offset: int = 0
    ) -> Self:
        """Return a query in plain words.

        wanted holds "status" (a word or several; default: active), "bot_id" (`*` and `?` stand for any characters and any
        one) and "metadata.<name>" (its value, of the same type). sort is bot_id, status, version, created_ms or updated_ms,
        with a `-` before it for the other way round. Raises ValueError, naming what is allowed.
        """
        statuses, pattern, metadata = cls.statuses_of("active"), "*", {}
        for name, value in (wanted or {}).items():
            if name == "status":
                statuses = cls.statuses_of(value)
            elif name == "bot_id":
                pattern = _pattern(value)
            elif name.startswith(_METADATA):
                metadata[name.removeprefix(_METADATA)] = _scalar(name, value)
            else:
                raise ValueError(f'no filter "{name}"; there are: status, bot_id, metadata.<name>')
        column = sort.removeprefix("-")
        if column not in _SORTS:
            raise ValueError(f'no order by "{column}"; there are: {", ".join(_SORTS)}{_near(column, _SORTS)}')
        if offset < 0 or (limit is not None and limit < 0):
            raise ValueError("limit and offset are whole numbers from 0")
        return cls(statuses, pattern, metadata, column, sort.startswith("-"), limit, offset)

    @staticmethod
    def statuses_of(value: Any) -> tuple[str, ...]:
        """Return one or several words as statuses. Raises ValueError."""
        words = (value,) if isinstance(value, str) else tuple(value)
        for word in words:
            if word not in STATUSES:
                raise ValueError(f'no status "{word}"; there are: {", ".join(STATUSES)}{_near(str(word), STATUSES)}')
        return words

    def where(self) -> tuple[str, list[Any]]:
        """Return the condition and its parameters."""
        marks = ", ".join("?" * len(self.statuses))
        where, parameters = f"r.status IN ({marks})", list[Any](self.statuses)
        if self.pattern != "*":
            where += " AND n.bot_id GLOB ?"
            parameters.append(self.pattern)
        for name, value in self.metadata.items():
            kind = _TYPES[type(value)] or str(value).lower()
            where += " AND EXISTS (SELECT 1 FROM json_each(r.metadata) WHERE key = ? AND type = ? AND atom IS ?)"
            parameters += (name, kind, value)
        return where, parameters


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or "[" in value:
        raise ValueError("the filter bot_id is a text; * and ? stand for any characters and any one")
    return value


def _scalar(name: str, value: Any) -> Scalar:
    if type(value) not in _TYPES:
        raise ValueError(f"the filter {name} is a text, a number, true, false or nothing")
    found: Scalar = value
    return found


def _near(word: str, known: Any) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


async def newest(reader: Reader, query: Query) -> list[RegistrationRow]:
    """Return the newest version of the bots a query asks for, of the whole file."""
    where, parameters = query.where()
    way = "DESC" if query.descending else "ASC"
    sql = (
        f"{_NEWEST.format(columns=_WHOLE, where=where)} ORDER BY {_SORTS[query.sort]} {way}, n.bot_id LIMIT ? OFFSET ?"
    )
    limit = -1 if query.limit is None else query.limit
    return [RegistrationRow(*row) for row in await reader.fetch(sql, (*parameters, limit, query.offset))]


async def count(reader: Reader, query: Query) -> int:
    """Return how many bots a query asks for, whatever its limit and offset."""
    where, parameters = query.where()
    rows = await reader.fetch(_NEWEST.format(columns="count(*)", where=where), parameters)
    return int(rows[0][0])


class Registrations:
    """The registrations of one bot, newest version last. Every write raises StoreError when the file refuses."""

    __slots__ = ("_bot_id", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader

    async def add(self, config: str, now_ms: int, *, status: str = "active", metadata: str = "{}") -> int:
        """Append a version; return its number, counted from 1."""
        return (await self.put(config, status, metadata, now_ms)).version

    async def put(self, config: str | None, status: str, metadata: str | None, now_ms: int) -> RegistrationRow:
        """Append a version and return it; config and metadata None are those of the version before.

        Of many versions the first and the newest are kept. Raises KeyError when there is none to take them from.
        """
        bot_id = self._bot_id

        def job(connection: sqlite3.Connection) -> RegistrationRow:
            found = connection.execute(f"{_HISTORY} LIMIT 1", (bot_id,)).fetchone()
            if found is None and (config is None or metadata is None):
                raise KeyError(bot_id)
            before = RegistrationRow(*found) if found else RegistrationRow(bot_id, 0, "", "", "", now_ms, now_ms)
            row = replace(
                before,
                version=before.version + 1,
                status=status,
                config=before.config if config is None else storable(config),
                metadata=before.metadata if metadata is None else storable(metadata),
                created_ms=min(before.created_ms, now_ms),
                updated_ms=now_ms,
            )
            values = (bot_id, row.version, status, row.config, row.metadata, now_ms)
            connection.execute(f"INSERT INTO registrations ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", values)
            sql = "DELETE FROM registrations WHERE bot_id = ? AND version > 1 AND version <= ?"
            connection.execute(sql, (bot_id, row.version - KEPT_VERSIONS))
            return row

        return await self._writer.write(job)

    async def newest(self) -> RegistrationRow | None:
        """Return the version that counts; None when there never was one."""
        rows = await self.history(limit=1)
        return rows[0] if rows else None

    async def history(self, limit: int = -1) -> list[RegistrationRow]:
        """Return the newest so many versions (-1: all that are kept), oldest first."""
        rows = await self._reader.fetch(f"{_HISTORY} LIMIT ?", (self._bot_id, limit))
        return [RegistrationRow(*row) for row in reversed(rows)]

    async def delete(self) -> int:
        """Delete every version; return how many there were."""
        sql = "DELETE FROM registrations WHERE bot_id = ?"
        return await self._writer.write(lambda connection: connection.execute(sql, (self._bot_id,)).rowcount)
