"""Work that is done to its end, whoever gives up waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def finished(work: Coroutine[Any, Any, T]) -> T:
    """Do something to its end, and return or raise what it does; a cancellation goes on when it has ended."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):  # a scope that is cancelled would cancel again at every step
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # looked at: who was cancelled is told nothing else
        raise
    return task.result()
