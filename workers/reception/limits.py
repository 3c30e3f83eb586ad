"""How many messages of a person, in a chat and to a bot are answered: buckets of tokens, filled at a steady rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workers.errors import RateLimitError

if TYPE_CHECKING:
    from config.schema import LimitsSection

MAX_BUCKETS: Final = 4096
"""Buckets of one kind that are remembered; beyond it the one used longest ago, the fullest, is forgotten."""

_ROUNDING: Final = 1e-9

MAX_CHATS: Final = 1024
NOTICE_EVERY_S: Final = 60.0


class Buckets:
    """Buckets that hold per_min tokens at most and get as many a minute. Moments are monotonic seconds."""

    __slots__ = ("_held", "per_min")

    def __init__(self, per_min: int) -> None:
        self.per_min = per_min
        self._held: dict[int, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def wait_s(self, key: int, now: float) -> float:
        """Return in how many seconds there is a token; 0 = now."""
        missing = 1.0 - self._tokens(key, now)
        return missing * 60.0 / self.per_min if missing > _ROUNDING else 0.0

    def take(self, key: int, now: float) -> None:
        """Take a token; there must be one."""
        tokens = self._tokens(key, now)
        self._held.pop(key, None)
        self._held[key] = tokens - 1.0, now
        if len(self._held) > MAX_BUCKETS:
            del self._held[next(iter(self._held))]

    def _tokens(self, key: int, now: float) -> float:
        tokens, at = self._held.get(key, (float(self.per_min), now))
        return min(float(self.per_min), tokens + max(0.0, now - at) * self.per_min / 60.0)


class RateLimits:
    """The limits of one bot; a limit of 0 is none."""

    __slots__ = ("_buckets",)

    def __init__(self, limits: LimitsSection) -> None:
        self._buckets: dict[str, Buckets] = {}
        self.apply(limits)

    @property
    def off(self) -> bool:
        """Whether nothing is limited."""
        return not self._buckets

    def apply(self, limits: LimitsSection) -> None:
        """Take over new numbers; a limit that stays as it is keeps its buckets."""
        wanted = {"user": limits.user_per_min, "chat": limits.chat_per_min, "bot": limits.bot_per_min}
        before = self._buckets
        self._buckets = {
            scope: before[scope] if scope in before and before[scope].per_min == per_min else Buckets(per_min)
            for scope, per_min in wanted.items()
            if per_min
        }

    def admit(self, user_id: int | None, chat_id: int, now: float) -> RateLimitError | None:
        """Count a message; return why it is too much, not raised, and nothing is counted then."""
        keys = {"user": chat_id if user_id is None else user_id, "chat": chat_id, "bot": 0}
        for scope, buckets in self._buckets.items():
            if wait_s := buckets.wait_s(keys[scope], now):
                return RateLimitError(scope, buckets.per_min, wait_s)
        for scope, buckets in self._buckets.items():
            buckets.take(keys[scope], now)
        return None


class Notices:
    """Who was told lately why there is no answer: a notice a minute and chat is enough."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[int, float] = {}

    def owed(self, chat_id: int, now: float) -> bool:
        """Tell whether a chat is to be told now; it counts as told from here on."""
        told = self._told.get(chat_id)
        if told is not None and now - told < NOTICE_EVERY_S:
            return False
        self._told.pop(chat_id, None)
        self._told[chat_id] = now
        if len(self._told) > MAX_CHATS:
            del self._told[next(iter(self._told))]
        return True
