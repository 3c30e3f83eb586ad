"""How much one key, or one address without a key, may ask at a time and in time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Self

from config.sections.api import ApiSection
from console.web.errors import RateLimitError
from workers.clock import Clock

REMEMBERED: Final = 10_000
"""Keys and addresses whose asking is remembered; beyond it those that have rested longest are forgotten."""
FAILURES_PER_MIN: Final = 10
"""Requests of one address with a key that is not good; what is beyond is not even looked at. Good keys are not concerned."""
AGAIN_S: Final = 1.0
"""When to ask again where too much is asked at once."""


class Bucket:
    """So many a minute, all of them at once if need be."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float, per_min: int) -> None:
        self._at = now
        self._left = float(per_min)

    def take(self, now: float, per_min: int) -> float:
        """Take one; return 0, or the seconds until there is one again."""
        self._left = min(float(per_min), self._left + (now - self._at) * per_min / 60)
        self._at = now
        if self._left < 1:
            return (1 - self._left) * 60 / per_min
        self._left -= 1
        return 0.0


class Account:
    """What one key, or one address, is asking at the moment."""

    __slots__ = ("bucket", "requests", "streams")

    def __init__(self, now: float, per_min: int) -> None:
        self.bucket = Bucket(now, per_min)
        self.requests = 0
        self.streams = 0

    @property
    def idle(self) -> bool:
        """Whether nothing of it is under way."""
        return not (self.requests or self.streams)


class Ticket:
    """One request under way: a block that ends with it."""

    __slots__ = ("_account", "_most_streams", "streaming")

    def __init__(self, account: Account, most_streams: int) -> None:
        self._account = account
        self._most_streams = most_streams
        self.streaming = False

    def stream(self) -> bool:
        """Count the request as a stream from now on; False when there are too many of them."""
        if self._account.streams >= self._most_streams:
            return False
        self._account.requests -= 1
        self._account.streams += 1
        self.streaming = True
        return True

    def __enter__(self) -> Self:
        self._account.requests += 1
        return self

    def __exit__(self, *_: object) -> None:
        if self.streaming:
            self._account.streams -= 1
        else:
            self._account.requests -= 1


class Limits:
    """The accounts of everybody who asks."""

    def __init__(self, settings: Callable[[], ApiSection], clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._failures: OrderedDict[str, Bucket] = OrderedDict()

    def enter(self, who: str) -> Ticket:
        """Let a request in. Raises RateLimitError."""
        settings = self._settings()
        account = self._account(who, settings)
        if settings.requests_per_min:
            wait_s = account.bucket.take(self._clock.monotonic(), settings.requests_per_min)
            if wait_s:
                raise RateLimitError(f"more than {settings.requests_per_min} requests a minute", wait_s)
        if account.requests >= settings.max_requests:
            raise RateLimitError(f"more than {settings.max_requests} requests at once", AGAIN_S)
        return Ticket(account, settings.max_streams)

    def fail(self, address: str) -> float:
        """Note a key that was not good; return 0, or how many seconds its address must wait to try another."""
        now = self._clock.monotonic()
        bucket = self._failures.setdefault(address, Bucket(now, FAILURES_PER_MIN))
        self._failures.move_to_end(address)
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)
        return bucket.take(now, FAILURES_PER_MIN)

    def _account(self, who: str, settings: ApiSection) -> Account:
        account = self._accounts.get(who)
        if account is None:
            account = self._accounts[who] = Account(self._clock.monotonic(), settings.requests_per_min)
            self._forget()
        self._accounts.move_to_end(who)
        return account

    def _forget(self) -> None:
        """Make room: what is under way is never forgotten."""
        while len(self._accounts) > REMEMBERED:
            who, account = self._accounts.popitem(last=False)
            if not account.idle:
                self._accounts[who] = account
                return
