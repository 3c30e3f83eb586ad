"""How long to wait before another try, and when to stop trying: back-off and quarantine, pure arithmetic.

1 s, doubled up to 60 s, with equal jitter; five failures with one fingerprint in ten minutes are a quarantine, with a
single try every half hour. Ten minutes of readiness forget it all. The caller keeps the history and brings the time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

BASE_S: Final = 1.0
CAP_S: Final = 60.0
TOP_LEVEL: Final = 7
"""Level after seven failures: the wait has reached the cap, higher levels would say nothing more."""

RESET_AFTER_S: Final = 600.0
"""Continuously ready for so long, a bot is as good as new. Mere starting proves nothing."""

WINDOW_MS: Final = 600_000
LIMIT: Final = 5
HALF_OPEN_S: Final = 1800.0
KEPT: Final = 20
"""Failures remembered per bot."""

Failures = tuple[tuple[int, str], ...]


def delay_s(level: int, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Return the wait before try number `level` (from 0): base doubled `level` times, up to the cap, equal jitter.

    Equal jitter (uniform between half of it and all of it) keeps bots that failed together from coming back together.
    """
    full = min(cap_s, base_s * 2 ** min(level, 30))
    return random.uniform(full / 2, full)  # noqa: S311 (spreading load, no secret)


@dataclass(frozen=True, slots=True)
class History:
    """The failures of one bot since it was last as good as new: (at in Unix ms, fingerprint), oldest first."""

    failures: Failures = ()
    level: int = 0

    @property
    def clean(self) -> bool:
        """Whether there is nothing to forget."""
        return not self.failures and not self.level

    @property
    def sentence(self) -> Failures:
        """The failures that put the bot into quarantine; () when none did.

        They stay until the history is forgotten, so that a try out of quarantine that fails ends there again at once.
        """
        for end in range(len(self.failures), LIMIT - 1, -1):
            at_ms, fingerprint = self.failures[end - 1]
            alike = [f for f in self.failures[:end] if f[1] == fingerprint and f[0] > at_ms - WINDOW_MS]
            if len(alike) >= LIMIT:
                return tuple(alike[-LIMIT:])
        return ()

    def failed(self, at_ms: int, fingerprint: str) -> History:
        """Return the history with one more failure."""
        past = self.sentence or self.failures[-(KEPT - 1) :]
        return History((*past, (at_ms, fingerprint)), min(self.level + 1, TOP_LEVEL))

    def postponed(self) -> History:
        """Return the history after a failure that is not the bot's own: nothing is counted, the wait grows."""
        return History(self.failures, min(self.level + 1, TOP_LEVEL))

    def without(self, fingerprint: str, since_ms: int) -> History:
        """Return the history as if the failures of that fingerprint since then had not been."""
        left = tuple(f for f in self.failures if f[1] != fingerprint or f[0] < since_ms)
        return History(left, max(0, self.level - (len(self.failures) - len(left))))

    def wait_s(self) -> float:
        """Return how long to wait before the next try, in seconds: half an hour in quarantine, else the back-off."""
        return HALF_OPEN_S if self.sentence else delay_s(max(0, self.level - 1))


CLEAN: Final = History()
