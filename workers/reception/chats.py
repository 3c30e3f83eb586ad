"""The chats a bot is in, as it learns of them: added, removed, blocked, moved."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from workers.channels.base import Incoming
from workers.reception.outcomes import Drop

if TYPE_CHECKING:
    from store.partition import Partition
    from workers.services import Services

logger = logging.getLogger(__name__)

MAX_SEEN: Final = 1024
"""Groups whose name is remembered as written down; of others it is written again."""


class Chats:
    """Keeps the store's table of chats true. Every step may be done again."""

    __slots__ = ("_partition", "_seen", "_services")

    def __init__(self, partition: Partition, services: Services) -> None:
        self._partition = partition
        self._services = services
        self._seen: dict[int, tuple[str, str]] = {}

    async def note(self, incoming: Incoming) -> Drop:
        """Write down what the bot is in a chat from now on, or where a group has moved."""
        if incoming.moved_to:
            await self._move(incoming.lane.chat_id, incoming.moved_to, incoming)
        elif incoming.moved_from:
            await self._move(incoming.moved_from, incoming.lane.chat_id, incoming)
        else:
            logger.info("%s is %s from now on", _called(incoming), _WORDS[incoming.member])
            self._seen.pop(incoming.lane.chat_id, None)
            await self._put(incoming.lane.chat_id, incoming.chat_type, incoming.chat_title, incoming.member)
        return Drop("ignored", "a fact of the chat")

    async def see(self, incoming: Incoming) -> None:
        """Write down a group the bot is spoken to in, unless it is known as it is."""
        chat_id, now = incoming.lane.chat_id, (incoming.chat_type, incoming.chat_title)
        if self._seen.get(chat_id) == now:
            return
        await self._put(chat_id, *now, "member")
        self._seen.pop(chat_id, None)
        self._seen[chat_id] = now
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]

    async def _move(self, old: int, new: int, incoming: Incoming) -> None:
        """Let a group go on under its new number, its conversations included.

        Both chats tell of it: the new one before anything is said there, the old one after all that was.
        """
        title, now_ms, partition = incoming.chat_title, self._services.now_ms(), self._partition
        insist = self._services.insist
        await insist(lambda: partition.conversations.move(str(old), str(new)))
        await insist(lambda: partition.chats.put(old, "group", title, "left", now_ms, moved_to=new))
        await insist(lambda: partition.chats.put(new, "supergroup", title, "member", now_ms))
        logger.info("the group %d goes on as %d", old, new)

    async def _put(self, chat_id: int, kind: str, title: str, state: str) -> None:
        services, chats = self._services, self._partition.chats
        await services.insist(lambda: chats.put(chat_id, kind, title, state, services.now_ms()))


_WORDS: Final = {
    "member": "open to the bot",
    "left": "closed to the bot",
    "blocked": "closed: the person blocked the bot",
}


def _called(incoming: Incoming) -> str:
    return f"the {incoming.chat_type} chat {incoming.lane.chat_id}"
