"""Bots that make no progress: found by what they did last, never by a timer that only proves that it ticks itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from config.vocabulary import Condition, Phase
from workers.clock import Clock
from workers.stall import Lag, LoopWatch

if TYPE_CHECKING:
    from config.schema import BotConfig
    from workers.conditions import Conditions
    from workers.keeper import Keeper
    from workers.worker import Vitals

__all__ = ["Lag", "LoopWatch", "Watchdog", "overdue"]

SWEEP_S: Final = 5.0
TIMES: Final = 3
POLL_SLACK_S: Final = 10.0
"""What a round trip may take beyond the long poll itself. Missing three in a row is no accident."""

TURN_SLACK_S: Final = 30.0
"""A turn may ask its model three times, with waits in between; beyond three times this much it hangs."""

LATE_S: Final = 1.0
"""While the loop is so late nobody is judged: what looks like a hang may be an answer nobody could read yet."""


class Watchdog:
    """Looks at every running bot once in a while and tells its keeper when it has come to a stop.

    Time during which the loop was blocked is nobody's fault but the blocker's, and is taken off every age. While
    `excused` says so (the database takes no writes) nobody is judged.
    """

    def __init__(
        self,
        clock: Clock,
        watch: LoopWatch,
        keepers: Callable[[], Iterable[Keeper]],
        excused: Callable[[], bool] = bool,
    ) -> None:
        self._clock = clock
        self._watch = watch
        self._keepers = keepers
        self._excused = excused

    async def run(self) -> None:
        """Sweep every 5 s until cancelled."""
        while True:
            await self._clock.sleep(SWEEP_S)
            if self._watch.late_s() < LATE_S and not self._excused():
                self.sweep()

    def sweep(self) -> None:
        """Look at every bot once."""
        for keeper in self._keepers():
            record = keeper.record
            if record.phase is not Phase.RUNNING or record.spec is None:
                continue
            seen = keeper.vitals()
            found = seen and overdue(seen, record.conditions, record.spec.config, self._watch.stalled_s)
            if found:
                keeper.hang(*found)


def overdue(
    seen: Vitals, conditions: Conditions, config: BotConfig, stalled_s: Callable[[float], float]
) -> tuple[str, float] | None:
    """Return what has come to a stop ("poll" or "turn") and for how many seconds; None when nothing has.

    A poll under way is judged by when it left. Without one, a bot that says it polls is judged by its last round trip;
    one that says why it does not (paused, no network, no room) or was told to wait is not judged.
    """
    limit_s = TIMES * (config.telegram.poll_timeout_s + POLL_SLACK_S)
    poll_s = seen.poll_in_flight_s
    if poll_s is None and conditions.get(Condition.POLLING):
        poll_s = seen.last_poll_age_s
    if conditions.get(Condition.THROTTLED):
        poll_s = None
    if poll_s is not None and poll_s > limit_s and poll_s - stalled_s(poll_s) > limit_s:
        return "poll", poll_s
    turn_s, limit_s = seen.oldest_turn_age_s, TIMES * (config.llm.timeout_s + TURN_SLACK_S)
    if turn_s is not None and turn_s > limit_s and turn_s - stalled_s(turn_s) > limit_s:
        return "turn", turn_s
    return None
