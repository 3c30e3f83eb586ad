"""A line that one bot repeats too often is said a few times, then counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

ALLOWED: Final = 20
WINDOW_S: Final = 10.0
REMEMBERED: Final = 2048
"""Different lines looked at at once; beyond it the oldest is let go of."""


class Repeats(Generic[T]):
    """Lets ALLOWED equal lines through in WINDOW_S and counts the rest. The caller brings the time, in seconds."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, ...], tuple[float, int, T | None]] = {}
        """Line → (when the first one came, how many came, the last one of those swallowed); oldest first."""

    def allows(self, key: tuple[str, ...], line: T, at: float) -> bool:
        """Tell whether a line may pass. What has settled is to be taken before."""
        began, count, last = self._open.get(key, (at, 0, None))
        count += 1
        passes = count <= ALLOWED
        self._open[key] = (began, count, last if passes else line)
        return passes

    def settled(self, at: float, *, all_: bool = False) -> Iterator[tuple[T, int]]:
        """Yield (last line, how many were swallowed) of windows that are over, and forget them.

        A clock that was set back ends every window.
        """
        while self._open:
            key, (began, count, last) = next(iter(self._open.items()))
            if not all_ and 0 <= at - began < WINDOW_S and len(self._open) <= REMEMBERED:
                return
            del self._open[key]
            if last is not None:
                yield last, count - ALLOWED
