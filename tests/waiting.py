"""Waiting for a condition, never for a duration."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def eventually(condition: Callable[[], T | Awaitable[T]], *, within_s: float = 20.0) -> T:
    """Return the first truthy value of condition(); fail with its last value when it stays falsy.

    within_s only bounds how long a failing test takes; a passing one goes on at once.
    """
    value: T | None = None
    with anyio.move_on_after(within_s):
        while True:
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
            await anyio.sleep(0.002)
    raise AssertionError(f"still {value!r} after {within_s} s")


def eventually_sync(condition: Callable[[], T], *, within_s: float = 20.0) -> T:
    """Return the first truthy value of condition(), for tests without a loop."""
    give_up, value = time.monotonic() + within_s, condition()
    while not value:
        if time.monotonic() > give_up:
            raise AssertionError(f"still {value!r} after {within_s} s")
        threading.Event().wait(0.005)
        value = condition()
    return value
