"""What of a conversation the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from config.vocabulary import Role
from store.messages import StoredMessage
from workers.llm.base import Message

if TYPE_CHECKING:
    from config.schema import MemorySection
    from store.partition import Partition

_ROLES: Final = {str(role): role for role in Role}
"""Looked up: making a Role of a text costs more than the rest of a message."""


async def remember(memory: MemorySection, partition: Partition, client_id: str, conversation_id: str) -> list[Message]:
    """Return the last messages of one conversation, oldest first, beginning with the user's.

    Costs the same at any length of the conversation. Raises StoreError.
    """
    if memory.type == "none" or memory.max_messages == 0:
        return []
    return alternating(await partition.messages.tail(client_id, conversation_id, memory.max_messages))


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
