"""Waiting for a condition, never for a duration."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

SOON_S, LATER_S, SHARE = 0.002, 0.005, 0.05
"""Between two looks: at first, at most, and as a share of what has been waited: looking costs what is waited for its CPU."""


async def eventually(condition: Callable[[], T | Awaitable[T]], *, within_s: float = 20.0) -> T:
    """Return the first truthy value of condition(); fail with its last value when it stays falsy.

    within_s only bounds how long a failing test takes; a passing one goes on at once.
    """
    value, began = None, time.monotonic()
    with anyio.move_on_after(within_s):
        while True:
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
            await anyio.sleep(_pause_s(began))
    raise AssertionError(f"still {value!r} after {within_s} s")


def eventually_sync(condition: Callable[[], T], *, within_s: float = 20.0) -> T:
    """Return the first truthy value of condition(), for tests without a loop."""
    began, value = time.monotonic(), condition()
    while not value:
        if time.monotonic() - began > within_s:
            raise AssertionError(f"still {value!r} after {within_s} s")
        threading.Event().wait(_pause_s(began))
        value = condition()
    return value


def _pause_s(began: float) -> float:
    return min(LATER_S, max(SOON_S, SHARE * (time.monotonic() - began)))
