"""Conversations changed other than by a turn: begun anew, a question taken back, moved with their group, forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from store import persons, regrouping, summaries
from store.conversations import Conversations
from store.known import Known
from store.messages import StoredMessage
from store.persons import Forgotten
from store.reader import Reader
from store.tails import Key, Tails
from store.texts import storable
from store.writer import Writer

_WHICH: Final = "bot_id = ? AND client_id = ? AND conversation_id = ?"
_CHOOSE: Final = (
    "INSERT INTO conversations (bot_id, client_id, conversation_id, model, created_ms, updated_ms)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (bot_id, client_id, conversation_id) DO UPDATE SET model = excluded.model"
)
_LEFT_BEHIND: Final = (
    "SELECT count(*) FROM conversations c JOIN messages m USING (bot_id, client_id, conversation_id)"
    f" WHERE {_WHICH} AND m.seq > c.start_seq"
)
_LAST_QUESTION: Final = (
    "SELECT m.seq, m.role, m.content, m.created_ms, m.update_id"
    " FROM conversations c JOIN messages m USING (bot_id, client_id, conversation_id)"
    f" WHERE {_WHICH} AND m.seq > c.start_seq AND m.role = 'user' AND c.undone_by IS NOT ? ORDER BY m.seq DESC LIMIT 1"
)


class ChangingConversations(Conversations):
    """The conversations of one bot, which can be changed too. Every write raises StoreError when the file refuses."""

    __slots__ = ("_known", "_tails", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader, tails: Tails[StoredMessage], known: Known) -> None:
        super().__init__(bot_id, reader)
        self._writer = writer
        self._tails = tails
        self._known = known

    # --- the model ---------------------------------------------------------------------------------------------

    async def model_of(self, client_id: str, conversation_id: str) -> str:
        """Return the model chosen for a conversation, "" for the bot's own; from memory when asked before."""
        key = (self._bot_id, "model", client_id, conversation_id)
        return await self._known.of(key, lambda: self._read_model(client_id, conversation_id), len)

    async def _read_model(self, client_id: str, conversation_id: str) -> str:
        sql = f"SELECT model FROM conversations WHERE {_WHICH}"
        rows = await self._reader.fetch(sql, (self._bot_id, client_id, conversation_id))
        return str(rows[0][0]) if rows else ""

    async def choose_model(self, client_id: str, conversation_id: str, model: str, now_ms: int) -> None:
        """Have a conversation answered by a model from now on; "" gives it back to the bot's own."""
        key = (self._bot_id, client_id, conversation_id)
        row = (*key, storable(model), now_ms, now_ms)
        await self._writer.write(lambda c: c.execute(_CHOOSE, row).rowcount, committed=lambda _: self._changed(key))

    # --- what is remembered ------------------------------------------------------------------------------------

    async def reset(self, client_id: str, conversation_id: str, now_ms: int) -> int:
        """Begin anew: nothing said so far is remembered any more; return how many messages were left behind.

        They are kept for the operator to read, as long as any others. Asked again it leaves nothing more behind.
        """
        key = (self._bot_id, client_id, conversation_id)

        def job(connection: sqlite3.Connection) -> int:
            left = int(connection.execute(_LEFT_BEHIND, key).fetchone()[0])
            sql = f"UPDATE conversations SET start_seq = last_seq, updated_ms = max(updated_ms, ?) WHERE {_WHICH}"
            connection.execute(sql, (now_ms, *key))
            summaries.drop(connection, key)
            return left

        return await self._writer.write(job, committed=lambda _: self._changed(key))

    async def undo(
        self, client_id: str, conversation_id: str, now_ms: int, *, update_id: int | None = None
    ) -> StoredMessage | None:
        """Delete the last question and what was answered to it; return the question, None when there is none.

        Nothing before a reset is taken back. update_id is the update that asks for it: once done, it takes back nothing
        more. A summary that holds the question goes too.
        """
        key = (self._bot_id, client_id, conversation_id)

        def job(connection: sqlite3.Connection) -> StoredMessage | None:
            # An update that asks again finds itself in undone_by; without one there is nothing to compare with.
            row = connection.execute(_LAST_QUESTION, (*key, -1 if update_id is None else update_id)).fetchone()
            if row is None:
                return None
            question = StoredMessage(*row)
            connection.execute(f"DELETE FROM messages WHERE {_WHICH} AND seq >= ?", (*key, question.seq))
            sql = f"UPDATE conversations SET undone_by = ?, updated_ms = max(updated_ms, ?) WHERE {_WHICH}"
            connection.execute(sql, (update_id, now_ms, *key))
            summaries.drop(connection, key, question.seq)
            return question

        return await self._writer.write(job, committed=lambda _: self._changed(key))

    # --- people and groups -------------------------------------------------------------------------------------

    async def move(self, old_conversation_id: str, new_conversation_id: str) -> int:
        """Give the conversations of a chat, its topics included, to the chat it goes on as; return how many.

        What was said there already stands behind what is brought. Of all tenants of the bot. Asked again it moves
        nothing.
        """

        def job(connection: sqlite3.Connection) -> list[Key]:
            return regrouping.move(connection, self._bot_id, old_conversation_id, new_conversation_id)

        moved = await self._writer.write(job, committed=self._all_changed)
        await regrouping.move_usage(self._bot_id, self._writer, self._reader, old_conversation_id, new_conversation_id)
        return len(moved) // 2

    async def forget(self, client_id: str, user_id: str) -> Forgotten:
        """Delete what is known of a person, some rows at a time; return how much it was.

        Gone are: the conversations that are theirs alone, with messages, summary and chosen model; what they said in groups
        and the answers to it, as far as the ledger of usage knows it was them, with the summaries of those groups; their
        profile; their chat; their number in the ledger of usage; what is left of their updates and sends. What the
        operator decided about them goes unless they are blocked, which keeps their number only. Cut off, it may be asked
        for again.
        """

        def changed(keys: Sequence[Key]) -> None:
            self._known.changed((self._bot_id, "profile", client_id, user_id))
            self._known.changed((self._bot_id, "access", "", user_id))
            self._all_changed(keys)

        return await persons.forget(self._bot_id, self._writer, self._reader, (client_id, user_id), changed)

    def _all_changed(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self._changed(key)

    def _changed(self, key: Key) -> None:
        self._tails.drop(key)
        for what in ("model", "summary"):
            self._known.changed((key[0], what, key[1], key[2]))
