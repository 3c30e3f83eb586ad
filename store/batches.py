"""Many rows changed, some at a time: turns of other bots go on in between, and finding them keeps nobody waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from store.reader import Reader

BATCH: Final = 500
"""Rows changed in one write job."""


async def in_batches(
    reader: Reader, sql: str, parameters: tuple[Any, ...], change: Callable[[list[Any]], Awaitable[None]]
) -> int:
    """Find rows and have them changed, BATCH at a time; return how many.

    sql takes the parameters and the number found last, and gives rows that begin with a number, lowest first.
    """
    total, last = 0, -(2**63)
    while rows := await reader.fetch(sql, (*parameters, last)):
        await change(rows)
        total += len(rows)
        last = rows[-1][0]
    return total
