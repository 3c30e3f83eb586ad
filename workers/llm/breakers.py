"""Endpoints that failed again and again rest for a while: they are asked by one call now and then, not by every message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from workers.errors import ProviderUnavailable

if TYPE_CHECKING:
    from workers.clock import Clock

FAILURES: Final = 5
WITHIN_S: Final = 60.0
"""So many failures in a row within this time let an endpoint rest."""

REST_S: Final = 15.0
LONGEST_REST_S: Final = 120.0
"""The first rest, doubled with each try that fails, and the longest."""

KEPT: Final = 4096
"""Endpoints whose failures are remembered; those that failed longest ago go first."""


class Target(NamedTuple):
    """An endpoint as bots share it: provider, address and key. Nobody rests for what happened to another's key."""

    provider: str
    base_url: str
    key: str

    @property
    def place(self) -> str:
        """Where it is, without user name and password; the provider's name for its own root."""
        host = urlsplit(self.base_url)
        return f"{host.hostname}:{host.port}" if host.port else host.hostname or self.provider


@dataclass(frozen=True, slots=True)
class BreakerState:
    """An endpoint that rests, as an operator sees it: until is Unix seconds, reason what it failed with last."""

    provider: str
    place: str
    until: float
    reason: str


class _Breaker:
    """The failures of one endpoint since it last answered."""

    __slots__ = ("failures", "probing", "reason", "rest_s", "until")

    def __init__(self) -> None:
        self.failures: list[float] = []
        self.until: float | None = None
        self.rest_s = REST_S
        self.reason = ""
        self.probing = False


class Breakers:
    """Knows which endpoints rest. One that never failed costs a look into an empty dictionary."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[Target, _Breaker] = {}

    def admit(self, target: Target) -> bool:
        """Let a call through; tell whether it is the one try of an endpoint whose rest is over.

        That one must be told of by `answered`, `failed` or `left`. Raises ProviderUnavailable while it rests.
        """
        breaker = self._known.get(target) if self._known else None
        if breaker is None or breaker.until is None:
            return False
        if breaker.probing or self._clock.monotonic() < breaker.until:
            raise ProviderUnavailable(f"{target.place}: {self._resting(breaker)}, after: {breaker.reason}")
        breaker.probing = True
        return True

    def rests(self, target: Target | None) -> bool:
        """Tell whether an endpoint rests, so that another try now is in vain."""
        breaker = self._known.get(target) if target is not None else None
        return breaker is not None and breaker.until is not None

    def answered(self, target: Target) -> None:
        """Note that an endpoint is there: nothing is held against it any more."""
        if self._known:
            self._known.pop(target, None)

    def failed(self, target: Target, reason: str, asked_s: float = 0.0, *, probe: bool = False) -> None:
        """Note a failure; asked_s is how long the server itself asked to be left alone."""
        breaker, now = self._known.setdefault(target, _Breaker()), self._clock.monotonic()
        if breaker.until is not None and not probe:
            return  # asked before it went to rest, or while another tried it
        breaker.reason = reason
        breaker.failures = [at for at in breaker.failures if at > now - WITHIN_S] + [now]
        if probe:
            breaker.rest_s = min(breaker.rest_s * 2, LONGEST_REST_S)
        if probe or len(breaker.failures) >= FAILURES:
            breaker.probing = False
            breaker.until = now + min(max(breaker.rest_s, asked_s), LONGEST_REST_S)
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]

    def left(self, target: Target) -> None:
        """Note that the one try ended without telling anything (cancelled): the next call is the try."""
        breaker = self._known.get(target)
        if breaker is not None:
            breaker.probing = False

    def resting(self) -> tuple[BreakerState, ...]:
        """Return the endpoints that rest, or whose next try has not answered yet."""
        return tuple(
            BreakerState(target.provider, target.place, self._wall(breaker.until), breaker.reason)
            for target, breaker in self._known.items()
            if breaker.until is not None
        )

    def _wall(self, moment: float) -> float:
        return self._clock.now() + moment - self._clock.monotonic()

    def _resting(self, breaker: _Breaker) -> str:
        if breaker.probing or breaker.until is None:
            return "being tried again"
        return f"resting until {datetime.fromtimestamp(self._wall(breaker.until), UTC):%H:%M:%S} UTC"
