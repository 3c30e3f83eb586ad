"""A line that one bot repeats too often is said a few times, then counted; a trace is written out a few times, then named."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType
from typing import Final, Generic, TypeVar

T = TypeVar("T")

ALLOWED: Final = 20
WINDOW_S: Final = 10.0
REMEMBERED: Final = 2048
"""Different lines, or ways, looked at at once; beyond it the oldest is let go of."""

WRITTEN_OUT: Final = 3
"""Equal traces in WINDOW_S: a bot that fails at every message would else keep the loop busy with telling where."""

LINKS: Final = 8
"""Errors looked at of those an error was raised from."""

Way = tuple[tuple[CodeType, int], ...]
"""The places of code an error came through."""


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


class Traces:
    """Counts errors of one bot that came the same way: through the same lines, whatever they say."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, tuple[Way, ...]], tuple[float, int]] = {}
        """Way → (when the first one came, how many came); oldest first."""

    def wanted(self, bot_id: str, error: BaseException, at: float) -> bool:
        """Tell whether the trace of an error is to be written out; at is in seconds."""
        key = (bot_id, tuple(_ways(error)))
        began, count = self._open.pop(key, (at, 0))
        if not 0 <= at - began < WINDOW_S:
            began, count = at, 0
        self._open[key] = (began, count + 1)
        if len(self._open) > REMEMBERED:
            del self._open[next(iter(self._open))]
        return count < WRITTEN_OUT


def _ways(error: BaseException | None) -> Iterator[Way]:
    """Yield the way of an error, and those of the ones it was raised from."""
    for _ in range(LINKS):
        if error is None:
            return
        way, trace = [], error.__traceback__
        while trace is not None:
            way.append((trace.tb_frame.f_code, trace.tb_lineno))
            trace = trace.tb_next
        yield tuple(way)
        error = error.__cause__ or error.__context__
