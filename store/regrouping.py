"""The conversations of a group that goes on under another number."""

from __future__ import annotations

import sqlite3
from typing import Final

from store import summaries
from store.batches import BATCH, in_batches
from store.reader import Reader
from store.tails import Key
from store.writer import Writer

_WHICH: Final = "bot_id = ? AND client_id = ? AND conversation_id = ?"
_OF_CHAT: Final = (
    "SELECT client_id, conversation_id FROM conversations WHERE bot_id = ?1"
    " AND (conversation_id = ?2 OR (conversation_id > ?2 || ':' AND conversation_id < ?2 || ';'))"
)
_ROW: Final = f"SELECT last_seq, start_seq FROM conversations WHERE {_WHICH}"
# A number may be taken by a message that has not moved yet: all go out of the way first.
_SHIFT: Final = (
    f"UPDATE messages SET seq = -(seq + ?) WHERE {_WHICH}",
    f"UPDATE messages SET seq = -seq WHERE {_WHICH} AND seq < 0",
)
_MERGE: Final = (
    "UPDATE conversations AS new SET last_seq = new.last_seq + old.last_seq, turns = new.turns + old.turns,"
    " start_seq = CASE WHEN new.start_seq THEN new.start_seq + old.last_seq ELSE old.start_seq END,"
    " model = CASE WHEN new.model = '' THEN old.model ELSE new.model END,"
    " user_id = CASE WHEN old.user_id = '' THEN new.user_id ELSE old.user_id END,"
    " created_ms = min(new.created_ms, old.created_ms), updated_ms = max(new.updated_ms, old.updated_ms)"
    " FROM conversations old WHERE new.bot_id = ?1 AND new.client_id = ?2 AND new.conversation_id = ?3"
    " AND old.bot_id = ?1 AND old.client_id = ?2 AND old.conversation_id = ?4"
)
_USED: Final = (
    "SELECT usage_id FROM usage WHERE bot_id = ?1 AND usage_id > ?3"
    " AND (conversation_id = ?2 OR (conversation_id > ?2 || ':' AND conversation_id < ?2 || ';'))"
    f" ORDER BY usage_id LIMIT {BATCH}"
)
# Both chats of a move tell of it, and both may read a row under its old number: only who finds it there still moves it.
_USED_ELSEWHERE: Final = (
    "UPDATE usage SET conversation_id = ?4 || substr(conversation_id, ?5) WHERE bot_id = ?1 AND usage_id = ?2"
    " AND (conversation_id = ?3 OR (conversation_id > ?3 || ':' AND conversation_id < ?3 || ';'))"
)


def move(connection: sqlite3.Connection, bot_id: str, old_id: str, new_id: str) -> list[Key]:
    """Move the conversations of a chat within a write job; return their keys, the old ones and the new ones."""
    touched: list[Key] = []
    for client_id, conversation_id in connection.execute(_OF_CHAT, (bot_id, old_id)).fetchall():
        old = (bot_id, client_id, conversation_id)
        new = (bot_id, client_id, new_id + conversation_id[len(old_id) :])
        if old != new:
            _move_one(connection, old, new)
            touched += [old, new]
    return touched


def _move_one(connection: sqlite3.Connection, old: Key, new: Key) -> None:
    last_seq, _ = connection.execute(_ROW, old).fetchone()
    merging = connection.execute(_ROW, new).fetchone() is not None
    if merging:
        summaries.drop(connection, new)  # it knows nothing of what will stand before it
        connection.execute(_SHIFT[0], (last_seq, *new))
        connection.execute(_SHIFT[1], new)
        connection.execute(_MERGE, (*new, old[2]))
        connection.execute(f"DELETE FROM conversations WHERE {_WHICH}", old)
    for table in ("messages", "summaries", *(() if merging else ("conversations",))):
        connection.execute(f"UPDATE {table} SET conversation_id = ? WHERE {_WHICH}", (new[2], *old))


async def move_usage(bot_id: str, writer: Writer, reader: Reader, old_id: str, new_id: str) -> None:
    """Have the ledger of usage speak of the chat under its new number, some rows at a time."""
    if old_id == new_id:
        return

    async def change(rows: list[tuple[int]]) -> None:
        where = [(bot_id, usage_id, old_id, new_id, len(old_id) + 1) for (usage_id,) in rows]
        await writer.write(lambda connection: connection.executemany(_USED_ELSEWHERE, where).rowcount)

    await in_batches(reader, _USED, (bot_id, old_id), change)
