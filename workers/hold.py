"""The fleet hold: when half of the fleet fails alike within a minute, the cause is not the bots.

Then nothing is counted, failing bots wait, and they are let go slowly: one first, to see, and when it keeps going the
others behind it, paced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

import anyio

from config.vocabulary import FLEET
from store.events import FleetHeld, FleetReleased
from workers.backoff import delay_s
from workers.bus import Bus
from workers.clock import Clock

logger = logging.getLogger(__name__)

WINDOW_S: Final = 60.0
SHARE: Final = 0.5
LEAST_FAILING: Final = 2
LEAST_FLEET: Final = 3
"""In a fleet of two, two bots failing alike may as well be copies with one mistake: there quarantine is the better
judge. From three on, half of them failing alike within a minute is no coincidence."""

PROVE_S: Final = 10.0
"""So long the first bot let go must last before the others follow."""

UNPACED_PER_S: Final = 10.0


class Held(Protocol):
    """A bot as the hold sees it."""

    bot_id: str

    @property
    def active(self) -> bool:
        """Whether it has a worker that is to serve: starting or running."""
        ...

    def forgive(self, fingerprint: str, since: float) -> bool:
        """Take back what was counted since then (clock's monotonic); True when it now waits for the hold."""
        ...

    def release(self) -> None:
        """Wait no longer."""
        ...


class FleetHold:
    """Sees every failure before it is counted. `fingerprint` is set while the fleet is held."""

    def __init__(self, clock: Clock, bus: Bus, rate_per_s: Callable[[], float]) -> None:
        self.fingerprint: str | None = None
        self._clock = clock
        self._bus = bus
        self._rate_per_s = rate_per_s
        self._recent: dict[str, dict[str, tuple[float, Held]]] = {}
        self._waiting: dict[str, Held] = {}
        self._released = 0
        self._held = anyio.Event()
        self._relapsed = anyio.Event()

    @property
    def waiting(self) -> int:
        """How many bots wait to be let go."""
        return len(self._waiting)

    def takes(self, bot: Held, fingerprint: str, active: int) -> bool:
        """Note a failure; True when it is not to be counted, and the bot is to wait for `release`.

        active is how many bots are starting or running, this one included.
        """
        if self.fingerprint is None:
            self._note(bot, fingerprint)
            if not self._is_fleetwide(fingerprint, active):
                return False
            self._begin(fingerprint)
        elif self.fingerprint != fingerprint:
            return False
        self._waiting[bot.bot_id] = bot
        self._relapsed.set()
        return True

    def leave(self, bot_id: str) -> None:
        """Forget a bot that somebody stopped, started or changed meanwhile."""
        self._waiting.pop(bot_id, None)

    async def run(self) -> None:
        """Let held bots go. Runs until cancelled."""
        while True:
            await self._held.wait()
            level = 0
            while self._waiting:
                await self._clock.sleep(delay_s(level))
                level = level + 1 if await self._relapses() else 0
            self._end()

    # --- deciding ----------------------------------------------------------------------------------------------

    def _note(self, bot: Held, fingerprint: str) -> None:
        alike = self._recent.setdefault(fingerprint, {})
        alike.pop(bot.bot_id, None)  # put at the end: the dictionary is ordered by time
        alike[bot.bot_id] = (self._clock.monotonic(), bot)
        self._forget_old()

    def _forget_old(self) -> None:
        horizon = self._clock.monotonic() - WINDOW_S
        for fingerprint, alike in list(self._recent.items()):
            while alike and next(iter(alike.values()))[0] < horizon:
                del alike[next(iter(alike))]
            if not alike:
                del self._recent[fingerprint]

    def _is_fleetwide(self, fingerprint: str, active: int) -> bool:
        failing = len(self._recent[fingerprint])
        if failing < LEAST_FAILING or failing < SHARE * active:
            return False
        # Bots that failed a moment ago and now wait for their next try belong to the fleet as well.
        resting = {bot_id for alike in self._recent.values() for bot_id, (_, bot) in alike.items() if not bot.active}
        fleet = active + len(resting)
        return fleet >= LEAST_FLEET and failing >= SHARE * fleet

    def _begin(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._released = 0
        alike = self._recent.pop(fingerprint)
        since = self._clock.monotonic() - WINDOW_S
        for _, bot in alike.values():
            if bot.forgive(fingerprint, since):
                self._waiting[bot.bot_id] = bot
        logger.error("%d bots fail alike within a minute (%s): nothing is counted", len(alike), fingerprint)
        self._bus.publish(FleetHeld(bot_id=FLEET, at=self._clock.now(), fingerprint=fingerprint, bots=len(alike)))
        self._held.set()

    # --- letting go --------------------------------------------------------------------------------------------

    async def _relapses(self) -> bool:
        """Let one bot go, and when it lasts the others; True as soon as one fails alike again."""
        self._relapsed = anyio.Event()
        self._release_one()
        if await self._relapsed_within(PROVE_S):
            return True
        while self._waiting:
            self._release_one()
            if await self._relapsed_within(1 / (self._rate_per_s() / 2 or UNPACED_PER_S)):
                return True
        # The last ones let go must last as well before the hold is over.
        return await self._relapsed_within(PROVE_S)

    async def _relapsed_within(self, time_s: float) -> bool:
        with self._clock.deadline(time_s):
            await self._relapsed.wait()
        return self._relapsed.is_set()

    def _release_one(self) -> None:
        if self._waiting:
            bot = self._waiting.pop(next(iter(self._waiting)))
            self._released += 1
            bot.release()

    def _end(self) -> None:
        logger.info("the fleet is released: %s is over", self.fingerprint)
        self.fingerprint = None
        self._recent.clear()
        self._held = anyio.Event()
        self._bus.publish(FleetReleased(bot_id=FLEET, at=self._clock.now(), bots=self._released))
