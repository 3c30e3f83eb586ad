"""What runs beside bots is tended, so that a part that fails takes nothing with it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from workers.clock import Clock

logger = logging.getLogger(__name__)

RETRY_S: Final = 5.0


class Guarded:
    """A block whose failure is told under the part's name and ends there; cancellation goes through.

    The boundary between a part and the bots: whatever a part raises, a thousand bots go on.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        logger.critical("the fleet's %s failed: %s", self.name, error, exc_info=error)
        return True


async def tend(name: str, part: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run a part; when it fails, say which and start it again after RETRY_S. Returns when the part does."""
    while True:
        done = False
        with Guarded(name):
            await part()
            done = True
        if done:
            return
        await clock.sleep(RETRY_S)
