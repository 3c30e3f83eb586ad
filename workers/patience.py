"""The condition `throttled`: true while anything of a bot waits because its server asked it to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from config.vocabulary import Condition
from workers.conditions import Conditions


class Patience:
    """Counts who waits. The poller and any number of sends may wait at once; the last one clears the condition."""

    __slots__ = ("_conditions", "_waiting")

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._waiting = 0

    @contextmanager
    def asked(self, reason: str) -> Iterator[None]:
        """Keep the condition true for the length of the block."""
        self._waiting += 1
        self._conditions.set(Condition.THROTTLED, True, reason)
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._conditions.set(Condition.THROTTLED, False)
