"""Conversations out of the store, of a fleet that runs or of one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.answers import AnsweringRow, ConversationRow, MessageRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.conversations import Conversation, Conversations, Place
    from store.messages import Messages, StoredMessage
    from store.usage import Tokens, UsageRows
    from workers.underway import Underway

OPERATOR: Final = "operator:"
"""Begins the conversation_id of what an operator says to a bot; those of channels are numbers."""
LAST_CHARACTERS: Final = 200
MOST: Final = 1000
"""Rows of one answer."""


async def listed(
    conversations: Conversations,
    messages: Messages,
    *,
    search: str = "",
    before: float = 0.0,
    limit: int = 50,
    client_id: str | None = None,
    behind: Place | None = None,
) -> list[ConversationRow]:
    """As Control.conversations, of one bot; of one client only, and behind one conversation, where they are named."""
    found = await conversations.recent(
        min(limit, MOST), before_ms=int(before * 1000), search=search, client_id=client_id, behind=behind
    )
    return [await shown(each, messages, search) for each in found]


async def shown(row: Conversation, messages: Messages, search: str = "") -> ConversationRow:
    """Return a conversation as it is listed, with the last message that has a text in it."""
    last = await messages.page(row.client_id, row.conversation_id, 1, search=search)
    return _conversation(row, last[-1] if last else None)


async def read(
    messages: Messages,
    usage: UsageRows,
    key: tuple[str, str],
    *,
    before_seq: int | None = None,
    search: str = "",
    limit: int = 100,
) -> list[MessageRow]:
    """As Control.messages, of one bot; key is (client_id, conversation_id)."""
    found = await messages.page(*key, min(limit, MOST), before_seq=before_seq or 0, search=search)
    taken = await usage.of_answers(*key, [each for each in found if each.role == "assistant"])
    return [_message(each, taken.get(each.seq)) for each in found]


def answering(turns: Iterable[Underway]) -> list[AnsweringRow]:
    """As Control.answering, of turns under way."""
    from console.inquiry import tool_runs  # loads the engine, which offline commands do without

    return [
        {
            "client_id": turn.client_id,
            "conversation_id": turn.conversation_id,
            "operator": turn.conversation_id.startswith(OPERATOR),
            "age_s": turn.age_s,
            "characters": turn.characters,
            "tools": [run for run in tool_runs(turn) if run["running"]],
        }
        for turn in sorted(turns, key=lambda turn: turn.began)
    ]


def _conversation(row: Conversation, last: StoredMessage | None) -> ConversationRow:
    return {
        "client_id": row.client_id,
        "conversation_id": row.conversation_id,
        "user_id": row.user_id,
        "channel": row.channel,
        "turns": row.turns,
        "messages": row.last_seq,
        "created_at": row.created_ms / 1000,
        "updated_at": row.updated_ms / 1000,
        "last_role": last.role if last else "",
        "last_text": last.content[:LAST_CHARACTERS] if last else "",
        "operator": row.conversation_id.startswith(OPERATOR),
    }


def _message(row: StoredMessage, taken: Tokens | None) -> MessageRow:
    return {
        "seq": row.seq,
        "role": row.role,
        "text": row.content,
        "at": row.created_ms / 1000,
        "update_id": row.update_id,
        "model": taken.model if taken else "",
        "tokens_in": taken.input_tokens if taken else 0,
        "tokens_out": taken.output_tokens if taken else 0,
        "latency_ms": taken.latency_ms if taken else 0,
    }
