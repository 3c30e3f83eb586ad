"""How many messages of a client, of a person, in a chat and to a bot are answered: buckets of tokens, filled at a steady rate."""

from __future__ import annotations

from collections.abc import Hashable
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
        self._held: dict[Hashable, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def wait_s(self, key: Hashable, now: float) -> float:
        """Return in how many seconds there is a token; 0 = now."""
        missing = 1.0 - self._tokens(key, now)
        return missing * 60.0 / self.per_min if missing > _ROUNDING else 0.0

    def take(self, key: Hashable, now: float) -> None:
        """Take a token; there must be one."""
        tokens = self._tokens(key, now)
        self._held.pop(key, None)
        self._held[key] = tokens - 1.0, now
        if len(self._held) > MAX_BUCKETS:
            del self._held[next(iter(self._held))]

    def _tokens(self, key: Hashable, now: float) -> float:
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
        wanted = {
            "client": limits.client_per_min,
            "user": limits.user_per_min,
            "chat": limits.chat_per_min,
            "bot": limits.bot_per_min,
        }
        before = self._buckets
        self._buckets = {
            scope: before[scope] if scope in before and before[scope].per_min == per_min else Buckets(per_min)
            for scope, per_min in wanted.items()
            if per_min
        }

    def admit(
        self, user: Hashable | None, chat: Hashable, now: float, *, client: str | None = None
    ) -> RateLimitError | None:
        """Count a message; return why it is too much, not raised, and nothing is counted then.

        user is None when it is not known who speaks, client when the message came over the bot's channel.
        """
        keys: dict[str, Hashable] = {"client": client, "user": chat if user is None else user, "chat": chat, "bot": 0}
        counted = [
            (scope, buckets) for scope, buckets in self._buckets.items() if scope != "client" or client is not None
        ]
        for scope, buckets in counted:
            if wait_s := buckets.wait_s(keys[scope], now):
                return RateLimitError(scope, buckets.per_min, wait_s)
        for scope, buckets in counted:
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
