"""Servers out of reach: counted by bot, told once for all of them instead of once for each bot and try."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

import anyio

from config.vocabulary import FLEET
from store.events import NetworkLost, NetworkRegained
from workers.bus import Bus
from workers.clock import Clock
from workers.hold import LEAST_FLEET, SHARE
from workers.redaction import by_shape

logger = logging.getLogger(__name__)

SWEEP_S: Final = 5.0
GRACE_S: Final = 5.0
"""A connection lost and found again within so long is worth no line in the log; the condition shows it meanwhile."""

NAMED: Final = 5
"""Bots named in one line; the others are counted."""

RECONNECTS_PER_S: Final = 100.0
SPREAD_CAP_S: Final = 30.0


class _Trouble:
    """One bot out of reach of its server; since is a monotonic moment."""

    __slots__ = ("reason", "since", "told")

    def __init__(self, reason: str, since: float) -> None:
        self.reason = reason
        self.since = since
        self.told = False


class Outages:
    """Which bots cannot reach their server at the moment. Noting takes 10 µs and never waits.

    clean takes secrets out of reasons: one of them is told for all.
    """

    def __init__(self, clean: Callable[[str], str] = by_shape) -> None:
        self._clean = clean
        self.lost: dict[str, _Trouble] = {}
        """bot_id → since when and why; the one longest out of reach first."""
        self.fleetwide = ""
        """A sentence while half of the fleet is concerned, else ""."""
        self.back: list[str] = []
        """Bots that were told of and have come back since the last look."""
        self._began: anyio.Event | None = None

    def note(self, bot_id: str, reason: str, now: float) -> None:
        """Note that a bot could not reach its server; now is monotonic."""
        known, reason = self.lost.get(bot_id), self._clean(reason)
        if known is not None:
            known.reason = reason
            return
        self.lost[bot_id] = _Trouble(reason, now)
        if self._began is not None:
            self._began.set()

    def over(self, bot_id: str) -> None:
        """Note that a bot reached its server, or no longer tries to."""
        if self.lost:
            known = self.lost.pop(bot_id, None)
            if known is not None and known.told:
                self.back.append(bot_id)

    def spread_s(self) -> float:
        """Return how long a bot is to wait at least before it connects again, so that many do not do it at once."""
        full = min(SPREAD_CAP_S, len(self.lost) / RECONNECTS_PER_S)
        return random.uniform(full / 2, full)  # noqa: S311 (spreading load, no secret)

    async def wait(self) -> None:
        """Wait until a bot is out of reach of its server."""
        while not self.lost and not self.back:
            self._began = anyio.Event()
            await self._began.wait()


class OutageWatch:
    """Tells the operator of outages. active gives how many bots are starting or running."""

    def __init__(self, outages: Outages, clock: Clock, bus: Bus, active: Callable[[], int]) -> None:
        self._outages = outages
        self._clock = clock
        self._bus = bus
        self._active = active
        self._began = 0.0

    async def run(self) -> None:
        """Look every 5 s while there is something to see, until cancelled."""
        while True:
            await self._outages.wait()
            while self._outages.lost or self._outages.back:
                await self._clock.sleep(SWEEP_S)
                self.sweep()

    def sweep(self) -> None:
        """Say what is new, in a line or two however many bots it concerns."""
        outages, now = self._outages, self._clock.monotonic()
        aged = {bot_id: trouble for bot_id, trouble in outages.lost.items() if now - trouble.since >= GRACE_S}
        if self._is_fleetwide(len(aged)):
            self._fleetwide(aged)
            return
        if outages.fleetwide:
            self._regained(now)
        self._tell({bot_id: trouble for bot_id, trouble in aged.items() if not trouble.told})
        if outages.back:
            _say(logging.INFO, outages.back, "the server is reached again")
            outages.back.clear()

    def _is_fleetwide(self, lost: int) -> bool:
        active = self._active()
        share = SHARE / 2 if self._outages.fleetwide else SHARE  # not to be said again and again around the half
        return active >= LEAST_FLEET and lost >= share * active

    def _fleetwide(self, aged: dict[str, _Trouble]) -> None:
        outages = self._outages
        reason = _usual([trouble.reason for trouble in aged.values()])
        first, outages.fleetwide = not outages.fleetwide, f"{len(aged)} bots cannot reach their server: {reason}"
        for trouble in aged.values():
            trouble.told = True
        outages.back.clear()  # the end of the outage is told for all of them
        if first:
            self._began = min(trouble.since for trouble in aged.values())
            logger.error("%s; they try again by themselves", outages.fleetwide, extra={"bot_id": FLEET})
            self._bus.publish(NetworkLost(bot_id=FLEET, at=self._clock.now(), bots=len(aged), reason=reason))

    def _regained(self, now: float) -> None:
        outages, after_s = self._outages, now - self._began
        outages.fleetwide = ""
        outages.back.clear()
        for trouble in outages.lost.values():
            trouble.told = False  # those left over are told of one by one
        logger.warning("the fleet reaches its server again after %.0f s", after_s, extra={"bot_id": FLEET})
        self._bus.publish(NetworkRegained(bot_id=FLEET, at=self._clock.now(), after_s=round(after_s, 1)))

    def _tell(self, new: dict[str, _Trouble]) -> None:
        if not new:
            return
        reason = _usual([trouble.reason for trouble in new.values()])
        for trouble in new.values():
            trouble.told = True
        _say(logging.WARNING, list(new), f"out of reach: {reason}")


def _usual(reasons: list[str]) -> str:
    return Counter(reasons).most_common(1)[0][0]


def _say(level: int, bot_ids: list[str], text: str) -> None:
    if len(bot_ids) == 1:
        logger.log(level, "%s", text, extra={"bot_id": bot_ids[0]})
        return
    more = f" and {len(bot_ids) - NAMED} more" if len(bot_ids) > NAMED else ""
    logger.log(level, "%s%s: %s", ", ".join(bot_ids[:NAMED]), more, text, extra={"bot_id": FLEET})
