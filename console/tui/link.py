"""The link to a fleet: keeps its feed running into the model, and says how old the picture is when it breaks."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import aclosing
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

from config.errors import FleetError
from console.tui.model import FleetModel
from workers.clock import Clock

if TYPE_CHECKING:
    from console.control import Control, Info

AGAIN_S: Final = 0.5
AGAIN_MAX_S: Final = 5.0
SILENT_S: Final = 12.0
"""A feed sends at least every 5 s; one silent for longer hangs."""


class LinkState(StrEnum):
    """How the console stands to its fleet."""

    LOADING = "loading"
    LIVE = "live"
    LOST = "lost"


class Link:
    """Follows a Control's feed for as long as `run` runs, again and again when it breaks.

    `linked` is called whenever the fleet is (again) there: it may be another process of the same fleet.
    """

    def __init__(self, control: Control, model: FleetModel, clock: Clock) -> None:
        self.state = LinkState.LOADING
        self.reason = ""
        self.info: Info | None = None
        self.linked: Callable[[], None] = lambda: None
        self._control = control
        self._model = model
        self._clock = clock
        self._heard_at = clock.monotonic()
        self._failures = 0

    def use(self, control: Control) -> None:
        """Follow another control; before `run`."""
        self._control = control

    @property
    def live(self) -> bool:
        """Tell whether orders reach the fleet."""
        return self.state is LinkState.LIVE

    @property
    def age_s(self) -> float:
        """How old the picture is."""
        return self._clock.monotonic() - self._heard_at

    def now(self) -> float:
        """Return the fleet's time: of its last frame, and what has passed here since. Without a link it stands still."""
        if not self._model.at:
            return self._clock.now()
        return self._model.at + self.age_s if self.live else self._model.at

    def can(self, capability: str) -> bool:
        """Tell whether the fleet can do something; True while it has not said."""
        return self.info is None or capability in self.info["capabilities"]

    async def run(self) -> None:
        """Keep the picture current until cancelled."""
        while True:
            try:
                await self._follow()
            except FleetError as error:
                self._lose(error.message)
            else:
                self._lose("the fleet said nothing for too long")
            await self._clock.sleep(self._pause_s())

    async def _follow(self) -> None:
        """Follow one feed to its end, or until it has been silent for too long."""
        self._model.forget()
        with self._clock.deadline(SILENT_S):
            self.info = await self._control.info()
        feed = cast("Any", self._control.feed())
        async with aclosing(feed):
            while True:
                frame = None
                with self._clock.deadline(SILENT_S):
                    frame = await anext(feed, None)
                if frame is None or not self._model.apply(frame):
                    return
                self._hear()

    def _hear(self) -> None:
        self._heard_at, self._failures = self._clock.monotonic(), 0
        if not self.live:
            self.state, self.reason = LinkState.LIVE, ""
            self.linked()

    def _lose(self, reason: str) -> None:
        self.state, self.reason = LinkState.LOST, reason
        self._failures += 1
        self._model.rev += 1

    def _pause_s(self) -> float:
        """Return 0.5 s, doubled up to 5 s, with half of it left to chance: consoles of one fleet do not come at once."""
        longest: float = min(AGAIN_MAX_S, AGAIN_S * 2 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 (spreads consoles, guards nothing)
