"""One turn, written at once: the answer, the new messages, the tokens, the sends and the end of its update.

This transaction is what keeps anything from being paid for or answered twice.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Final

from store import conversations, messages, outbox, updates, usage
from store.outbox import NewSend
from store.usage import Tokens

_COUNT: Final = "UPDATE bots SET turns = turns + 1, errors = errors + ? WHERE bot_id = ?"


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What became of one update. question and answer are None when no messages are to be remembered.

    first_attempting says that the first send leaves as soon as this is committed.
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
    error: str = ""
    sends: tuple[NewSend, ...] = field(default=())
    first_attempting: bool = False


def record(connection: sqlite3.Connection, bot_id: str, turn: TurnRecord, now_ms: int) -> tuple[int, ...]:
    """Write a turn within a write job; return the ids of its sends.

    An update finished before is not answered again: nothing is written and () returned.
    """
    if turn.update_id is not None and not updates.finish(
        connection, bot_id, turn.update_id, now_ms, turn.outcome, turn.error
    ):
        return ()
    key = (turn.client_id, turn.conversation_id)
    if turn.question is not None and turn.answer is not None:
        said = (("user", turn.question), ("assistant", turn.answer))
        last = conversations.grow(connection, bot_id, key, turn.user_id, turn.channel, len(said), now_ms)
        messages.append(connection, bot_id, key, last - len(said), said, turn.update_id, now_ms)
    if turn.tokens is not None:
        usage.add(connection, bot_id, (*key, turn.user_id), turn.update_id, turn.tokens, now_ms)
    connection.execute(_COUNT, (1 if turn.error else 0, bot_id))
    if not turn.sends:
        return ()
    return outbox.add(connection, bot_id, turn.update_id, turn.sends, now_ms, first_attempting=turn.first_attempting)
