"""What turns ask of a conversation or person again and again, kept in memory: small rows that seldom change.

This process is the only writer, so what it has read stays true until it commits a change, which makes the memory of it
void. Bounded over the whole store by entries and by characters.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

V = TypeVar("V")

Key = tuple[str, str, str, str]
"""(bot_id, what it is, client_id or "", conversation or person)."""

MAX_ENTRIES: Final = 10_000
MAX_CHARACTERS: Final = 4_000_000


class Known:
    """A bounded, least-recently-used memory of rows. Used on the event loop only."""

    __slots__ = ("_characters", "_max_characters", "_max_entries", "_reads", "_values")

    def __init__(self, *, entries: int = MAX_ENTRIES, characters: int = MAX_CHARACTERS) -> None:
        self._max_entries = entries
        self._max_characters = characters
        self._values: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._reads: dict[Key, object] = {}
        self._characters = 0

    def __len__(self) -> int:
        return len(self._values)

    @property
    def characters(self) -> int:
        """Characters held."""
        return self._characters

    def held(self, key: Key) -> Any:
        """Return what is known without reading, None when it is not."""
        held = self._values.get(key)
        if held is None:
            return None
        self._values.move_to_end(key)
        return held[0]

    async def of(self, key: Key, read: Callable[[], Awaitable[V]], size: Callable[[V], int]) -> V:
        """Return what is known, or read it; size gives its characters. Raises what read raises.

        What was read while a change was committed is handed back, and not remembered.
        """
        held = self._values.get(key)
        if held is not None:
            self._values.move_to_end(key)
            value: V = held[0]
            return value
        ticket = self._reads[key] = object()
        try:
            value = await read()
            if self._reads.get(key) is ticket:
                self._hold(key, value, size(value))
        finally:
            if self._reads.get(key) is ticket:
                del self._reads[key]
        return value

    def changed(self, key: Key) -> None:
        """Note that a change of this was committed."""
        self._reads.pop(key, None)
        held = self._values.pop(key, None)
        if held is not None:
            self._characters -= held[1]

    def forget(self, bot_id: str | None = None) -> None:
        """Forget everything of one bot, or of all."""
        for key in [k for k in (*self._values, *self._reads) if bot_id in (None, k[0])]:
            self.changed(key)

    def _hold(self, key: Key, value: object, characters: int) -> None:
        self.changed(key)
        self._values[key] = (value, characters)
        self._characters += characters
        while self._values and (len(self._values) > self._max_entries or self._characters > self._max_characters):
            self._characters -= self._values.popitem(last=False)[1][1]
