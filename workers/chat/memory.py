"""What of a conversation the model sees: the last messages, what came before them condensed, what is known of the person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from config.vocabulary import Role
from store.messages import StoredMessage
from workers.llm.base import Message

if TYPE_CHECKING:
    from config.schema import MemorySection
    from store.partition import Partition

_ROLES: Final = {str(role): role for role in Role}
"""Looked up: making a Role of a text costs more than the rest of a message."""

BYTES_OF_TOKEN: Final = 4
TOKENS_OF_MESSAGE: Final = 4
"""An estimate of tokens: a quarter of the bytes, and a few for each message's frame. English has 4 letters to a token,
other scripts fewer letters and more bytes to a letter. What is billed is the provider's own count."""


class Remembered(NamedTuple):
    """What is remembered of one conversation.

    condense_upto is the message up to which it should be condensed now, None when it need not be.
    """

    messages: Sequence[Message] = ()
    summary: str = ""
    profile: Mapping[str, str] = {}
    condense_upto: StoredMessage | None = None


async def remember(
    memory: MemorySection, partition: Partition, client_id: str, conversation_id: str, user_id: str = ""
) -> Remembered:
    """Return what is remembered of one conversation, and of the person who speaks, if the bot keeps profiles.

    Costs the same at any length of the conversation. Raises StoreError.
    """
    profile: Mapping[str, str] = {}
    if memory.profile and user_id:
        profile = await partition.profiles.all(client_id, user_id)
    if memory.type == "none" or memory.max_messages == 0:
        return Remembered(profile=profile)
    if memory.type == "summary":
        return await _with_summary(memory, partition, client_id, conversation_id, profile)
    stored = await partition.messages.tail(client_id, conversation_id, memory.max_messages)
    if memory.max_tokens is not None:
        stored = fitting(stored, memory.max_tokens)
    return Remembered(alternating(stored), "", profile)


async def _with_summary(
    memory: MemorySection, partition: Partition, client_id: str, conversation_id: str, profile: Mapping[str, str]
) -> Remembered:
    """Return at least the messages a buffer holds, up to twice as many, and what was condensed before them.

    They are condensed when half as many again have gathered; those never condensed, for the model failed to, fall out
    at twice as many.
    """
    stored = await partition.messages.tail(client_id, conversation_id, 2 * memory.max_messages)
    summary = await partition.summaries.get(client_id, conversation_id)
    if summary is not None:
        stored = [message for message in stored if message.seq > summary.upto_seq]
    fresh = stored if memory.max_tokens is None else fitting(stored, memory.max_tokens)
    kept = min(len(fresh), max(memory.max_messages, 2)) // 2 * 2  # whole pairs
    due = kept and len(stored) - kept > kept // 2
    upto = stored[-kept - 1] if due else None
    return Remembered(alternating(fresh), summary.text if summary else "", profile, upto)


def fitting(stored: Sequence[StoredMessage], max_tokens: int) -> list[StoredMessage]:
    """Return the last messages that have at most so many tokens by estimate; the last pair always stays."""
    left = max_tokens
    for index in range(len(stored) - 1, -1, -1):
        left -= estimated(stored[index].content)
        if left < 0 and index < len(stored) - 2:
            return list(stored[index + 1 :])
    return list(stored)


def estimated(text: str) -> int:
    """Return about how many tokens a message of this text has."""
    return len(text.encode()) // BYTES_OF_TOKEN + TOKENS_OF_MESSAGE


def alternating(stored: Sequence[StoredMessage]) -> list[Message]:
    """Return messages whose roles strictly alternate, user first and assistant last.

    The store keeps them so; a window may begin with an answer, and pruning by age may have split a pair.
    """
    messages: list[Message] = []
    wanted = "user"
    for message in stored:
        if message.role == wanted:
            messages.append(Message(_ROLES[message.role], message.content))
            wanted = "assistant" if wanted == "user" else "user"
        elif messages and wanted == "assistant":
            messages[-1] = Message(Role.USER, message.content)
    if messages and messages[-1].role is Role.USER:
        messages.pop()
    return messages
