"""Printing streams: what was asked for, then what comes, until Ctrl-C."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def shown(lines: AsyncIterator[T], show: Callable[[T], None]) -> list[T]:
    """Print every line as it comes; return the empty list of lines that are still to be printed."""
    async with aclosing(lines) as open_lines:  # type: ignore[type-var]
        async for line in open_lines:
            show(line)
    return []
