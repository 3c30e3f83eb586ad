"""The ends of the conversations spoken in last, kept in memory.

A turn reads the last messages of its conversation, and this process is the only writer: what it has just committed it
need not ask the file for. A read through another thread costs more CPU than all writes of a turn. Bounded over the
whole store by conversations and by characters; what is not here is read from the file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeVar

Key = tuple[str, str, str]
"""(bot_id, client_id, conversation_id)."""

MAX_CONVERSATIONS: Final = 2_000
MAX_CHARACTERS: Final = 4_000_000


class Numbered(Protocol):
    """A message with its number in the conversation."""

    @property
    def seq(self) -> int:
        """Counts from 1; what was taken back or deleted leaves a gap."""
        ...

    @property
    def content(self) -> str:
        """What was said."""
        ...


M = TypeVar("M", bound=Numbered)


class _Tail(Generic[M]):
    """The last `limit` messages; all there are when `whole`."""

    __slots__ = ("characters", "limit", "messages", "whole")

    def __init__(self, messages: list[M], limit: int) -> None:
        self.messages = messages
        self.limit = limit
        self.whole = len(messages) < limit
        self.characters = sum(len(m.content) for m in messages)

    def append(self, message: M) -> None:
        self.messages.append(message)
        self.characters += len(message.content)
        if len(self.messages) > self.limit:
            self.characters -= len(self.messages.pop(0).content)
            self.whole = False


class Tails(Generic[M]):
    """A bounded, least-recently-used memory of conversation ends. Used on the event loop only.

    A read of the file announces itself with `begin` and hands in what it found with `fill`; a turn committed in
    between makes the announcement void, so that nothing older than a commit is ever remembered.
    """

    def __init__(self, *, conversations: int = MAX_CONVERSATIONS, characters: int = MAX_CHARACTERS) -> None:
        self._max_conversations = conversations
        self._max_characters = characters
        self._tails: OrderedDict[Key, _Tail[M]] = OrderedDict()
        self._reads: dict[Key, object] = {}
        self._characters = 0

    def __len__(self) -> int:
        return len(self._tails)

    @property
    def characters(self) -> int:
        """Characters of message text held."""
        return self._characters

    def get(self, key: Key, limit: int) -> list[M] | None:
        """Return the last messages, oldest first; None when the file must be asked."""
        tail = self._tails.get(key)
        if tail is None or (limit > tail.limit and not tail.whole):
            return None
        self._tails.move_to_end(key)
        return tail.messages[-limit:] if limit else []

    def begin(self, key: Key) -> object:
        """Announce a read; return its ticket. Every ticket goes back through `fill` or `abandon`."""
        ticket = self._reads[key] = object()
        return ticket

    def fill(self, key: Key, ticket: object, messages: list[M], limit: int) -> None:
        """Remember what a read with this limit found, unless something was committed since it began."""
        if self._reads.get(key) is ticket:
            del self._reads[key]
            self._drop(key)
            tail = self._tails[key] = _Tail(list(messages), limit)
            self._characters += tail.characters
            self._shrink()

    def abandon(self, key: Key, ticket: object) -> None:
        """Take back the announcement of a read that found nothing out."""
        if self._reads.get(key) is ticket:
            del self._reads[key]

    def append(self, key: Key, messages: Sequence[M]) -> None:
        """Note messages that were just committed."""
        self._reads.pop(key, None)
        tail = self._tails.get(key)
        if tail is None:
            return
        seen = tail.messages[-1].seq if tail.messages else messages[0].seq - 1
        if messages[0].seq > seen + 1:  # something we have not seen lies in between: the file knows better
            self._drop(key)
            return
        before = tail.characters
        for message in messages:
            if message.seq > seen:  # a read after the commit may have found them already
                tail.append(message)
        self._characters += tail.characters - before
        self._shrink()

    def forget(self, bot_id: str | None = None) -> None:
        """Forget the conversations of one bot, or of all: their rows were changed other than by a turn."""
        for key in [k for k in self._tails if bot_id in (None, k[0])]:
            self._drop(key)
        for key in [k for k in self._reads if bot_id in (None, k[0])]:
            del self._reads[key]

    def drop(self, key: Key) -> None:
        """Forget one conversation: its messages were changed other than by a turn."""
        self._reads.pop(key, None)
        self._drop(key)

    def _drop(self, key: Key) -> None:
        tail = self._tails.pop(key, None)
        if tail is not None:
            self._characters -= tail.characters

    def _shrink(self) -> None:
        while self._tails and (len(self._tails) > self._max_conversations or self._characters > self._max_characters):
            self._characters -= self._tails.popitem(last=False)[1].characters
