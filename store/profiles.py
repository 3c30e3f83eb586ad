"""What is known about people: facts, a name and a value each, per tenant and person."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from store.errors import StoreError
from store.known import Known
from store.reader import Reader
from store.texts import storable
from store.writer import Writer

MAX_FACTS: Final = 64
"""Facts about one person."""
MAX_NAME: Final = 64
"""Characters of a fact's name."""
MAX_VALUE: Final = 500
"""Characters of a fact."""

_SET: Final = (
    "INSERT INTO profiles (bot_id, client_id, user_id, fact, value, actor, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (bot_id, client_id, user_id, fact) DO UPDATE SET"
    " value = excluded.value, actor = excluded.actor, updated_ms = excluded.updated_ms"
)
_WHOSE: Final = "bot_id = ? AND client_id = ? AND user_id = ?"


class FactRefused(StoreError):
    """A fact that cannot be kept: no name, too long, or one too many. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as it is stored; by says who wrote it."""

    fact: str
    value: str
    by: str
    updated_ms: int


def one_line(text: str) -> str:
    """Return a text as facts are kept: on one line, without control characters, blanks at the ends cut off."""
    shown = "".join(c if c.isprintable() else " " for c in storable(text))
    return " ".join(shown.split())


def checked(fact: str, value: str) -> tuple[str, str]:
    """Return a fact's name and value as they are kept. Raises FactRefused when they are empty or too long."""
    name, said = one_line(fact), one_line(value)
    if not name or not said:
        raise FactRefused("a fact has a name and a value")
    if len(name) > MAX_NAME or len(said) > MAX_VALUE:
        raise FactRefused(f"a fact's name has at most {MAX_NAME} characters, its value {MAX_VALUE}")
    return name, said


def _size(facts: Mapping[str, str]) -> int:
    return sum(len(fact) + len(value) for fact, value in facts.items())


class Profiles:
    """The facts of one bot. Every write raises StoreError when the file refuses."""

    __slots__ = ("_bot_id", "_known", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader, known: Known) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader
        self._known = known

    async def all(self, client_id: str, user_id: str) -> dict[str, str]:
        """Return fact → value about one person, by name; from memory when asked before. Not to be changed."""
        return await self._known.of(
            (self._bot_id, "profile", client_id, user_id), lambda: self._read(client_id, user_id), _size
        )

    async def _read(self, client_id: str, user_id: str) -> dict[str, str]:
        return {fact.fact: fact.value for fact in await self.facts(client_id, user_id)}

    async def facts(self, client_id: str, user_id: str) -> list[Fact]:
        """Return everything stored about one person, by name, with who wrote it and when."""
        sql = f"SELECT fact, value, actor, updated_ms FROM profiles WHERE {_WHOSE} ORDER BY fact"
        return [Fact(*row) for row in await self._reader.fetch(sql, (self._bot_id, client_id, user_id))]

    async def set(self, client_id: str, user_id: str, fact: str, value: str, by: str, now_ms: int) -> None:
        """Write down a fact, in place of one of the same name. Raises FactRefused beyond the limits."""
        name, said = checked(fact, value)
        whose = (self._bot_id, client_id, user_id)

        def job(connection: sqlite3.Connection) -> None:
            sql = f"SELECT count(*) FROM profiles WHERE {_WHOSE} AND fact <> ?"
            if connection.execute(sql, (*whose, name)).fetchone()[0] >= MAX_FACTS:
                raise FactRefused(f"there are {MAX_FACTS} facts about this person already")
            connection.execute(_SET, (*whose, name, said, storable(by), now_ms))

        await self._writer.write(job, committed=lambda _: self._changed(client_id, user_id))

    async def delete(self, client_id: str, user_id: str, fact: str) -> bool:
        """Delete a fact; False when there was none of that name."""
        row = (self._bot_id, client_id, user_id, one_line(fact))
        sql = f"DELETE FROM profiles WHERE {_WHOSE} AND fact = ?"
        return await self._writer.write(
            lambda connection: connection.execute(sql, row).rowcount > 0,
            committed=lambda _: self._changed(client_id, user_id),
        )

    def _changed(self, client_id: str, user_id: str) -> None:
        self._known.changed((self._bot_id, "profile", client_id, user_id))
