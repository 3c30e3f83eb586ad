"""Rows leave when their time is over or when there are too many, a small batch at a time, by a clock that is believed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from store.errors import StoreError
from store.retention import DAY_MS, rules_of
from workers.media import keeping

if TYPE_CHECKING:
    from pathlib import Path

    from config.schema import RetentionSection
    from store.database import Store
    from workers.clock import Clock

logger = logging.getLogger(__name__)

BUSY_S: Final = 0.1
"""Pause between two batches: some 5,000 rows a second leave, with a few percent of a core."""
TRIM_S: Final = 10.0
"""How often journals that grew are brought back under their bound."""
WALK_S: Final = 600.0
"""How often all tables are walked for rows past their time."""

JUMP_S: Final = 3600.0
"""Wall-clock time that runs ahead of the steady clock by more than this has jumped."""
AWAY_MS: Final = DAY_MS
"""A fleet that was away for longer cannot tell a long rest from a wrong clock."""
STANDS_S: Final = 86_400.0
"""So long a new time must stand before old rows are deleted by it: a day to set the clock right."""


class BelievedTime:
    """Tells whether rows may be deleted by the wall clock. One that jumped ahead is not believed before it has stood.

    A clock that was set back deletes less, which harms nothing.
    """

    def __init__(self) -> None:
        self._ahead_s: float | None = None
        self._candidate_s: float | None = None
        self._since_s = 0.0

    def begin(self, now_s: float, steady_s: float, last_s: float | None) -> None:
        """Take the time at the start for true unless the time last believed, by an earlier process, is long ago."""
        recent = last_s is None or now_s - last_s <= AWAY_MS / 1000
        self._ahead_s = now_s - steady_s if recent or last_s is None else last_s - steady_s

    def believes(self, now_s: float, steady_s: float) -> bool:
        """Tell whether now_s is to be believed; steady_s never jumps."""
        assert self._ahead_s is not None, "begin comes first"
        ahead = now_s - steady_s
        if ahead - self._ahead_s <= JUMP_S:
            if self._ahead_s - ahead <= JUMP_S:
                self._ahead_s = ahead  # follows a clock that drifts or is slewed
            self._candidate_s = None
            return True
        if self._candidate_s is None or abs(ahead - self._candidate_s) > JUMP_S:
            self._candidate_s, self._since_s = ahead, steady_s
            logger.warning(
                "the clock is %.1f days ahead of when it was last seen; nothing is deleted for its age until it has"
                " stood for %.0f hours",
                (ahead - self._ahead_s) / 86_400,
                STANDS_S / 3600,
            )
        if steady_s - self._since_s >= STANDS_S:
            self._ahead_s, self._candidate_s = ahead, None
            return True
        return False


class Housekeeper:
    """Keeps the tables of a fleet within their bounds, and the files below its folder, if it has one. rules is asked anew
    for every batch.
    """

    def __init__(
        self, store: Store, clock: Clock, rules: Callable[[], RetentionSection], root: Path | None = None
    ) -> None:
        self._root = root
        self._store = store
        self._clock = clock
        self._rules = rules
        self._time = BelievedTime()

    async def run(self) -> None:
        """Keep house until cancelled. While the database refuses, old rows wait."""
        due, begun = self._clock.monotonic(), False
        while True:
            with suppress(StoreError):
                if not begun:
                    last_ms = await self._store.believed_ms()
                    last_s = None if last_ms is None else last_ms / 1000
                    self._time.begin(self._clock.now(), self._clock.monotonic(), last_s)
                    begun = True
                await self._trim()
                if self._clock.monotonic() >= due:
                    await self._walk()
                    due = self._clock.monotonic() + WALK_S
            await self._clock.sleep(TRIM_S)

    async def _trim(self) -> None:
        while await self._store.trim(self._rules().rows_per_bot):
            await self._clock.sleep(BUSY_S)

    async def _walk(self) -> None:
        while self._time.believes(self._clock.now(), self._clock.monotonic()):
            now_ms = int(self._clock.now() * 1000)
            if not await self._store.prune(rules_of(self._rules()), now_ms):
                await self._prune_files(now_ms)
                await self._store.believe(now_ms)
                return
            await self._clock.sleep(BUSY_S)

    async def _prune_files(self, now_ms: int) -> None:
        """Delete kept files together with the messages they came with."""
        days = self._rules().messages_days
        if self._root is not None and days:
            await anyio.to_thread.run_sync(keeping.prune, self._root, (now_ms - days * DAY_MS) / 1000)
