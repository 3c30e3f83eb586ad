"""One turn, written at once: the answer, the new messages, the tokens, the sends and the end of its update.

This transaction is what keeps anything from being paid for or answered twice.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from store import conversations, messages, outbox, updates, usage
from store.ids import Ids
from store.messages import StoredMessage
from store.outbox import NewSend
from store.texts import storable
from store.usage import Tokens

_COUNT: Final = (
    "INSERT INTO bots (bot_id, turns, errors, created_ms, updated_ms) VALUES (?, 1, ?, ?, ?)"
    " ON CONFLICT (bot_id) DO UPDATE SET turns = turns + 1, errors = errors + excluded.errors"
)


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What became of one update. question and answer are None when no messages are to be remembered.

    also are further updates it answers, further what other models were asked for. first_attempting says that the first send leaves as soon as this is committed. tokens is None when no model was
    asked.
    """

    update_id: int | None
    client_id: str
    conversation_id: str
    user_id: str
    channel: str
    outcome: str
    question: str | None = None
    answer: str | None = None
    tokens: Tokens | None = None
    error: str | None = ""
    sends: tuple[NewSend, ...] = ()
    first_attempting: bool = False
    also: tuple[int, ...] = ()
    further: tuple[Tokens, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a turn became: the ids of its sends and its two messages, if any were to be remembered."""

    outbox_ids: tuple[int, ...] = ()
    said: tuple[StoredMessage, StoredMessage] | None = None


def record(connection: sqlite3.Connection, ids: Ids, bot_id: str, turn: TurnRecord, now_ms: int) -> Recorded:
    """Write a turn within a write job.

    An update finished before is not answered again: nothing is written, and what is returned is empty.
    """
    error = storable(turn.error or "")
    if turn.update_id is not None and not updates.finish(
        connection, bot_id, turn.update_id, now_ms, turn.outcome, error
    ):
        return Recorded()
    for update_id in turn.also:
        updates.finish(connection, bot_id, update_id, now_ms, turn.outcome, error)
    said = _remember(connection, bot_id, turn, now_ms)
    who = (turn.client_id, turn.conversation_id, turn.user_id)
    for tokens in (turn.tokens, *turn.further):
        if tokens is not None:
            usage.add(connection, ids, bot_id, who, turn.update_id, tokens, now_ms)
    connection.execute(_COUNT, (bot_id, 1 if error else 0, now_ms, now_ms))
    first = "attempting" if turn.first_attempting else "pending"
    sent = outbox.add(connection, ids, bot_id, turn.update_id, turn.sends, now_ms, first_state=first)
    return Recorded(sent, said)


def _remember(
    connection: sqlite3.Connection, bot_id: str, turn: TurnRecord, now_ms: int
) -> tuple[StoredMessage, StoredMessage] | None:
    """Append the question and the answer to their conversation: both or none, so that roles alternate."""
    if turn.question is None or turn.answer is None:
        return None
    key = (bot_id, turn.client_id, turn.conversation_id)
    last = conversations.grow(connection, key, turn.user_id, turn.channel, 2, now_ms)
    pair = (
        StoredMessage(last - 1, "user", storable(turn.question), now_ms, turn.update_id),
        StoredMessage(last, "assistant", storable(turn.answer), now_ms, turn.update_id),
    )
    messages.append_pair(connection, key, pair)
    return pair
