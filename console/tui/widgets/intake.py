"""How lines come to a log pane: followed in the background, taken ten times a second, read back when asked."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from config.errors import FleetError
from console.errors import BadRequest
from console.tui.screen import console_of
from console.tui.sources import TAIL
from console.tui.widgets.ring import CAPACITY, Line, Ring

if TYPE_CHECKING:
    from textual.widget import Widget

    from console.tui.sources import LineSource, Narrow

AGAIN_S: Final = 1.0
LOADING_S: Final = 1.0
"""A source that gave no line for so long has none."""
PAGES: Final = 40
"""Pages read back at most for one jump to a time."""


class Intake:
    """The lines of one source as they come. Belongs to a widget: its tasks end with it."""

    def __init__(self, owner: Widget) -> None:
        self.fault = ""
        """Why no lines come, empty when they do."""
        self._owner = owner
        self._source: LineSource | None = None
        self._asked: Narrow | None = None
        self._waiting: list[Line] = []
        self._fresh = False
        self._began_at = 0.0
        self._reading = False
        self._recent: deque[Line] = deque(maxlen=TAIL)
        self._known: set[Line] = set()
        """Lines that come once more, after the link was lost."""

    @property
    def loading(self) -> bool:
        """Tell whether lines may still be on their way."""
        return self._fresh and console_of(self._owner).clock.monotonic() - self._began_at < LOADING_S

    @property
    def waiting(self) -> int:
        """How many lines have come and were not taken."""
        return len(self._waiting)

    def begin(self, source: LineSource | None, asked: Narrow) -> None:
        """Follow a source from now on; lines of the one before are not mixed in."""
        self._source, self._asked = source, asked
        self._waiting, self._known, self.fault = [], set(), ""
        self._recent.clear()
        self._fresh, self._began_at = True, console_of(self._owner).clock.monotonic()
        self._owner.workers.cancel_group(self._owner, "follow")
        if source is not None:
            self._owner.run_worker(self._follow(source, asked), name="log", group="follow", exit_on_error=False)

    async def _follow(self, source: LineSource, asked: Narrow) -> None:
        """Collect lines until cancelled; again after the link was lost, without a repeat."""
        while True:
            self._known = set(self._recent)
            try:
                async with aclosing(cast("Any", source.follow(asked))) as lines:
                    async for line in lines:
                        self._accept(line)
                if asked.until:
                    return
            except BadRequest as error:
                self.fault = error.message
                return
            except FleetError as error:
                self.fault = error.message
            await console_of(self._owner).clock.sleep(AGAIN_S)

    def _accept(self, line: Line) -> None:
        if self._known:
            if line in self._known:
                return
            if line.at > self._recent[-1].at:
                self._known = set()
        self._recent.append(line)
        self._waiting.append(line)
        if len(self._waiting) > CAPACITY:
            del self._waiting[: len(self._waiting) - CAPACITY]

    def take(self) -> tuple[bool, list[Line]]:
        """Return whether these are the first lines of another source, and the lines that came since the last time."""
        lines, self._waiting = self._waiting, []
        anew = self._fresh and (bool(lines) or not self.loading)
        if anew:
            self._fresh = False
        return anew, lines

    # --- back in time ------------------------------------------------------------------------------------------

    async def older(self, ring: Ring) -> list[Line]:
        """Return the lines before the oldest of a ring; none while some are being read, or when there are none."""
        if self._reading or self._source is None or self._asked is None or not len(ring):
            return []
        self._reading = True
        try:
            # Lines of the same thousandth may be on either side; the half more is for what floats lose.
            before = ring[ring.first].at + 0.0015
            return ring.older(await self._source.older(self._asked, before))
        except FleetError as error:
            console_of(self._owner).complain(error.message, error.hint)
            return []
        finally:
            self._reading = False

    async def back_to(self, ring: Ring, at: float) -> AsyncIterator[list[Line]]:
        """Yield older lines, page by page, until one is of a moment before `at`, or there are no more."""
        for _ in range(PAGES):
            if not len(ring) or ring[ring.first].at <= at:
                return
            before = len(ring)
            lines = await self.older(ring)
            yield lines
            if len(ring) == before:
                return
