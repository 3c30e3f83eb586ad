"""Everything of one person, deleted. Each step may be done again: cut off, it is simply asked for once more."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from store import summaries
from store.batches import BATCH, in_batches
from store.reader import Reader
from store.tails import Key
from store.writer import Writer

_WHICH: Final = "bot_id = ? AND client_id = ? AND conversation_id = ?"
# Numbers of groups begin with a minus. A conversation belongs to whoever began it, a private chat has its person's number.
_OWN: Final = (
    "SELECT conversation_id FROM conversations WHERE bot_id = ?1 AND client_id = ?2 AND conversation_id NOT LIKE '-%'"
    " AND (user_id = ?3 OR conversation_id = ?3 OR (conversation_id > ?3 || ':' AND conversation_id < ?3 || ';'))"
)
_SAID: Final = (
    "WITH said(place, number) AS MATERIALIZED (SELECT DISTINCT conversation_id, update_id FROM usage"
    " WHERE bot_id = ?1 AND client_id = ?2 AND user_id = ?3 AND update_id NOT NULL)"
    " SELECT m.conversation_id, m.seq FROM (SELECT DISTINCT place FROM said) p JOIN messages m"
    " ON m.bot_id = ?1 AND m.client_id = ?2 AND m.conversation_id = p.place"
    " WHERE (m.conversation_id, m.update_id) IN said"
)
_SOME_MESSAGES: Final = (
    f"DELETE FROM messages WHERE {_WHICH} AND seq IN (SELECT seq FROM messages WHERE {_WHICH} LIMIT {BATCH})"
)
_LANE: Final = "(lane = ?2 OR (lane > ?2 || ':' AND lane < ?2 || ';'))"
_UPDATES: Final = (
    f"SELECT update_id FROM updates WHERE bot_id = ?1 AND update_id > ?3 AND {_LANE} AND outcome NOT NULL"
    f" ORDER BY update_id LIMIT {BATCH}"
)
_SENDS: Final = (
    f"SELECT outbox_id FROM outbox WHERE bot_id = ?1 AND outbox_id > ?3 AND {_LANE}"
    f" AND state NOT IN ('pending', 'attempting') ORDER BY outbox_id LIMIT {BATCH}"
)
_USED: Final = (
    "SELECT usage_id FROM usage WHERE bot_id = ? AND client_id = ? AND user_id = ? AND usage_id > ?"
    f" ORDER BY usage_id LIMIT {BATCH}"
)
_NO_UPDATE: Final = "UPDATE updates SET lane = '', payload = '' WHERE bot_id = ? AND update_id = ?"
_NO_SEND: Final = "UPDATE outbox SET lane = '', chat_id = 0, params = '' WHERE bot_id = ? AND outbox_id = ?"
_NO_USER: Final = (
    "UPDATE usage SET user_id = '', conversation_id = CASE WHEN conversation_id LIKE '-%' THEN conversation_id ELSE '' END"
    " WHERE bot_id = ? AND usage_id = ?"
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much of a person was deleted; usage counts rows that lost their number, which keep their tokens."""

    conversations: int = 0
    messages: int = 0
    facts: int = 0
    usage: int = 0


class _Forgetting:
    """One person being forgotten, step by step. changed is called after each commit, with conversations."""

    def __init__(
        self, bot_id: str, writer: Writer, reader: Reader, who: tuple[str, str], changed: Callable[[list[Key]], None]
    ) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader
        self._who = who
        self._changed = changed
        self._key: tuple[str, str, str] = (bot_id, *who)

    async def conversations(self) -> tuple[int, int]:
        """Delete the conversations that are theirs alone; return how many, and their messages."""
        own = [(self._bot_id, self._who[0], str(c)) for (c,) in await self._reader.fetch(_OWN, self._key)]
        messages = 0
        for key in own:
            while deleted := await self._write(_SOME_MESSAGES, (*key, *key), [key]):
                messages += deleted
            await self._writer.write(lambda c, k=key: _drop(c, k), committed=lambda _, k=key: self._changed([k]))  # type: ignore[misc]
        return len(own), messages

    async def said_in_groups(self) -> int:
        """Delete what they said elsewhere with the answers, and the summaries of those groups; return how many."""
        rows = await self._reader.fetch(_SAID, self._key)
        for first in range(0, len(rows), BATCH):
            said = [(self._bot_id, self._who[0], *row) for row in rows[first : first + BATCH]]
            keys = list(dict.fromkeys(row[:3] for row in said))

            def job(connection: sqlite3.Connection, said: list[Any] = said, keys: list[Key] = keys) -> None:
                connection.executemany(f"DELETE FROM messages WHERE {_WHICH} AND seq = ?", said)
                for key in keys:
                    summaries.drop(connection, key)

            await self._writer.write(job, committed=lambda _, k=keys: self._changed(k))  # type: ignore[misc]
        return len(rows)

    async def traces(self) -> None:
        """Delete what is left of their updates and sends, but for those still open."""
        for find, change in ((_UPDATES, _NO_UPDATE), (_SENDS, _NO_SEND)):
            await in_batches(self._reader, find, (self._bot_id, self._who[1]), self._blanked(change))

    async def usage(self) -> int:
        """Take their number out of the ledger of usage; return how many rows had it. What they said is found by it."""
        return await in_batches(self._reader, _USED, self._key, self._blanked(_NO_USER))

    async def person(self) -> int:
        """Delete profile, chat and what was decided about them; return how many facts there were."""
        whose = "bot_id = ? AND client_id = ? AND user_id = ?"
        number = int(self._who[1]) if self._who[1].isdecimal() and len(self._who[1]) < 19 else None

        def job(connection: sqlite3.Connection) -> int:
            facts = connection.execute(f"DELETE FROM profiles WHERE {whose}", self._key).rowcount
            mine = (self._bot_id, number)
            connection.execute("DELETE FROM chats WHERE bot_id = ? AND chat_id = ?", mine)
            connection.execute("DELETE FROM access WHERE bot_id = ? AND user_id = ? AND state <> 'blocked'", mine)
            connection.execute("UPDATE access SET name = '' WHERE bot_id = ? AND user_id = ?", mine)
            return facts

        return await self._writer.write(job, committed=lambda _: self._changed([]))

    async def _write(self, sql: str, row: tuple[Any, ...], keys: list[Key]) -> int:
        return await self._writer.write(
            lambda connection: connection.execute(sql, row).rowcount, committed=lambda _: self._changed(keys)
        )

    def _blanked(self, sql: str) -> Callable[[list[Any]], Any]:
        async def change(rows: list[tuple[int]]) -> None:
            which = [(self._bot_id, number) for (number,) in rows]
            await self._writer.write(lambda connection: connection.executemany(sql, which).rowcount)

        return change


def _drop(connection: sqlite3.Connection, key: Key) -> None:
    summaries.drop(connection, key)
    connection.execute(f"DELETE FROM conversations WHERE {_WHICH}", key)


async def forget(
    bot_id: str,
    writer: Writer,
    reader: Reader,
    who: tuple[str, str],
    changed: Callable[[Sequence[Key]], None],
) -> Forgotten:
    """Delete what a bot knows of a person; who is (client_id, user_id). Raises StoreError; ask again then.

    changed is told after every commit which conversations are not as they were.
    """
    steps = _Forgetting(bot_id, writer, reader, who, changed)
    conversations, messages = await steps.conversations()
    elsewhere = await steps.said_in_groups()
    facts = await steps.person()
    await steps.traces()
    return Forgotten(conversations, messages + elsewhere, facts, await steps.usage())
