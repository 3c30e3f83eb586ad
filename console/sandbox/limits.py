"""How fast a bot may send, enforced only where asked for. Figures: the Bot API's published limits."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

FIRST_USES_A_MINUTE: Final = 20
FIRST_USES_AN_HOUR: Final = 600


@dataclass(frozen=True, slots=True)
class SendLimits:
    """Messages a second per bot, a second per chat with a short burst on top, a minute per group."""

    per_bot_per_s: int = 30
    per_chat_per_s: float = 1.0
    chat_burst: int = 3
    per_group_per_min: int = 20


class Window:
    """At most `most` events in any `span_s` seconds."""

    __slots__ = ("_most", "_past", "_span_s")

    def __init__(self, most: int, span_s: float) -> None:
        self._most = most
        self._span_s = span_s
        self._past: deque[float] = deque()

    def wait_s(self, now: float) -> float:
        """Return how long until one more fits; 0 = now."""
        while self._past and self._past[0] <= now - self._span_s:
            self._past.popleft()
        return 0.0 if len(self._past) < self._most else self._past[0] + self._span_s - now

    def add(self, now: float) -> None:
        """Count one event."""
        self._past.append(now)


class Pacing:
    """The send limits of one bot."""

    def __init__(self, limits: SendLimits) -> None:
        self._limits = limits
        self._bot = Window(limits.per_bot_per_s, 1.0)
        self._chats: dict[int, Window] = {}
        self._groups: dict[int, Window] = {}

    def ask(self, chat_id: int, now: float) -> int:
        """Return 0 and count the message, or the whole seconds to wait. now is monotonic."""
        windows = [self._bot, self._chat(chat_id)]
        if chat_id < 0:
            windows.append(self._groups.setdefault(chat_id, Window(self._limits.per_group_per_min, 60.0)))
        wait_s = max(window.wait_s(now) for window in windows)
        if wait_s > 0:
            return math.ceil(wait_s)
        for window in windows:
            window.add(now)
        return 0

    def _chat(self, chat_id: int) -> Window:
        burst = self._limits.chat_burst
        return self._chats.setdefault(chat_id, Window(burst, burst / self._limits.per_chat_per_s))


class FirstUses:
    """First use of a token from an address: 20 new bots a minute, 600 an hour."""

    def __init__(self) -> None:
        self._windows = (Window(FIRST_USES_A_MINUTE, 60.0), Window(FIRST_USES_AN_HOUR, 3600.0))
        self._known: set[int] = set()

    def ask(self, bot_id: int, now: float) -> int:
        """Return 0 for a known bot or a new one that fits, else the whole seconds to wait. now is monotonic."""
        if bot_id in self._known:
            return 0
        wait_s = max(window.wait_s(now) for window in self._windows)
        if wait_s > 0:
            return math.ceil(wait_s)
        for window in self._windows:
            window.add(now)
        self._known.add(bot_id)
        return 0
