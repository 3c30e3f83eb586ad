"""What a bot does at the moment, from memory: the last minutes, the last hour, today. Less than 1 KB a bot."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, time
from itertools import islice
from typing import Final

from config.vocabulary import FLEET
from store.usage import Spent
from workers.clock import Clock
from workers.prices import FREE, NANO

QUARTER_S: Final = 15
"""What one value of a trend covers."""
QUARTERS: Final = 20
"""Values of a trend: five minutes."""
PER_MINUTE: Final = 60 // QUARTER_S
FIVE_MINUTES_S: Final = 300
FIVES: Final = 12
"""An hour of errors, to five minutes."""
KEPT: Final = 50_000
"""Bots whose figures are held; beyond it those first seen longest ago are forgotten."""
DAY_AND_A_HALF_S: Final = 129_600
"""From a midnight into the middle of the next day, however long a clock change makes the first."""


class Ring:
    """Counts in steps of time; what lies further back than the ring is long is forgotten."""

    __slots__ = ("_counts", "_now", "_step_s")

    def __init__(self, steps: int, step_s: int) -> None:
        self._counts = array("L", bytes(array("L").itemsize * steps))
        self._step_s = step_s
        self._now = 0

    def add(self, at: float, amount: int) -> None:
        """Count something that happens now."""
        self._turn(at)
        self._counts[self._now % len(self._counts)] += amount

    def values(self, at: float) -> list[int]:
        """Return the counts, oldest first; the last one is of the step under way."""
        self._turn(at)
        here = self._now % len(self._counts) + 1
        return [*self._counts[here:], *self._counts[:here]]

    def _turn(self, at: float) -> None:
        step = int(at // self._step_s)
        if step == self._now:
            return
        size = len(self._counts)
        # A clock that was set back a little goes on counting where it is; one that jumped far leaves nothing behind.
        far = abs(step - self._now) > size
        for gone in range(step - size + 1 if far else self._now + 1, step + 1):
            self._counts[gone % size] = 0
        self._now = step if far else max(step, self._now)


class _Bot:
    """The figures of one bot."""

    __slots__ = ("cost_nano", "errors", "messages", "tokens", "unpriced")

    def __init__(self) -> None:
        self.messages = Ring(QUARTERS, QUARTER_S)
        self.errors: Ring | None = None
        self.begin_day()

    def begin_day(self) -> None:
        """Nothing was spent yet."""
        self.tokens = self.cost_nano = self.unpriced = 0


class Figures:
    """The figures of all bots. Times are Unix seconds of the clock; a day begins at local midnight."""

    def __init__(self, clock: Clock) -> None:
        self.changed: set[str] = set()
        """Bots counted for since somebody took the set; whoever shows figures empties it."""
        self.noted: set[str] = set()
        """The same of bots whose record says something new, by which nothing was counted."""
        self._clock = clock
        self._all = _Bot()
        self._bots: dict[str, _Bot] = {FLEET: self._all}
        self._midnight = local_midnight(clock.now())
        self._tomorrow = local_midnight(self._midnight + DAY_AND_A_HALF_S)

    # --- counting ----------------------------------------------------------------------------------------------

    def message(self, bot_id: str, amount: int = 1) -> None:
        """Count messages received."""
        now = self._clock.now()
        self._bot(bot_id).messages.add(now, amount)
        self._all.messages.add(now, amount)

    def error(self, bot_id: str, amount: int = 1) -> None:
        """Count turns without an answer."""
        now = self._clock.now()
        for bot in (self._bot(bot_id), self._all):
            if bot.errors is None:
                bot.errors = Ring(FIVES, FIVE_MINUTES_S)
            bot.errors.add(now, amount)

    def spend(self, bot_id: str, tokens: int, cost_nano: int | None, unpriced: int = 0) -> None:
        """Count tokens, sent and received, and what they cost in nano-dollars, None when that is not known.

        unpriced: calls whose price is not known beside it.
        """
        if self._clock.now() >= self._tomorrow:
            self._begin_day()
        bot = self._bot(bot_id)
        bot.tokens += tokens
        bot.cost_nano += cost_nano or 0
        bot.unpriced += unpriced + (cost_nano is None)

    def recall(self, spent: Iterable[Spent]) -> None:
        """Add what earlier processes spent today."""
        for bot_id, provider, _, sent, received, _, cost_nano, unpriced in spent:
            self.spend(bot_id, sent + received, cost_nano or 0, 0 if provider in FREE else unpriced)

    def forget(self, bot_id: str) -> None:
        """Forget a bot that is no more."""
        self._bots.pop(bot_id, None)

    def _bot(self, bot_id: str) -> _Bot:
        self.changed.add(bot_id)
        bot = self._bots.get(bot_id)
        if bot is None:
            bot = self._bots[bot_id] = _Bot()
            if len(self._bots) > KEPT:
                del self._bots[next(islice(self._bots, 1, None))]  # the first one is the fleet
        return bot

    def _begin_day(self) -> None:
        self._midnight = local_midnight(self._clock.now())
        self._tomorrow = local_midnight(self._midnight + DAY_AND_A_HALF_S)
        for bot in self._bots.values():
            bot.begin_day()

    # --- reading -----------------------------------------------------------------------------------------------

    @property
    def midnight(self) -> float:
        """When today began."""
        if self._clock.now() >= self._tomorrow:
            self._begin_day()
        return self._midnight

    def trend(self, bot_id: str) -> list[int]:
        """Return the messages of each of the last 20 quarter minutes, oldest first; those of all bots for FLEET."""
        bot = self._bots.get(bot_id)
        return bot.messages.values(self._clock.now()) if bot else [0] * QUARTERS

    def errors_1h(self, bot_id: str) -> int:
        """Return the turns without an answer of the last hour; those of all bots for FLEET."""
        bot = self._bots.get(bot_id)
        return sum(bot.errors.values(self._clock.now())) if bot and bot.errors else 0

    def today(self, bot_id: str) -> tuple[int, float | None]:
        """Return tokens and US dollars spent today; None where the price of a call is not known."""
        bot = self._bots.get(bot_id)
        if bot is None or self._clock.now() >= self._tomorrow:
            return 0, 0.0
        return bot.tokens, None if bot.unpriced else bot.cost_nano / NANO


def per_minute(trend: list[int]) -> int:
    """Return the messages of the last minute of a trend."""
    return sum(trend[-PER_MINUTE:])


def local_midnight(at: float) -> float:
    """Return when the local day of a moment began."""
    day = datetime.fromtimestamp(at, tz=UTC).astimezone().date()
    return datetime.combine(day, time()).timestamp()
