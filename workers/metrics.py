"""Counters and measurements, rolled up by the minute in memory and written down now and then.

| name | kind | says |
|---|---|---|
| messages | counter | updates committed to the inbox, and questions of programs |
| replies | counter | answers that have left as a whole |
| errors | counter | turns without an answer |
| tokens_in, tokens_out | counter | tokens as the provider counts them |
| turn_s | seconds | from reading an update to its answer, sending not included |
| model_s | seconds | the same without what is ours: history, prompt and the model with its retries |
| tool_s | seconds | one call of a tool |
| tool_errors | counter | calls of tools that gave no result |
| format_refused | counter | parts the server took only without their formatting |
| poll_age | seconds | between the ends of two polls |
| inbox | updates | waiting for their turn, looked at once a minute |
| turn_s#N, model_s#N | counter | how many of them fell into the N-th bucket of a histogram |
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import anyio

from config.vocabulary import FLEET
from store.database import Store
from store.errors import StoreError
from store.metrics import NewMetric
from store.usage import Tokens
from workers.clock import Clock
from workers.figures import Figures

WINDOW: Final = 64
"""Measurements of one name kept for percentiles: half a kilobyte."""

PERCENTILES: Final = frozenset({"turn_s", "model_s"})
CAPACITY: Final = 200_000
"""Rows kept while the store refuses them; beyond it the oldest are dropped and counted."""

KEPT: Final = 50_000
"""Names of which measurements are kept for percentiles; beyond it those first measured longest ago are forgotten."""
CHUNK: Final = 500
"""Rows of one write: the commits of turns wait behind it for a few milliseconds only."""


_NOTHING: Final[Mapping[str, float]] = {}

GROWTH: Final = 1.25
"""A bucket of a histogram ends a quarter higher than the one before: percentiles read off it are at most so much too high."""
_LOG_GROWTH: Final = math.log(GROWTH)
_SMALLEST_S: Final = 0.001


@lru_cache(maxsize=512)
def _bucket_name(name: str, number: int) -> str:
    return f"{name}#{number}"


@lru_cache(maxsize=8)
def _count_name(name: str) -> str:
    return f"{name}.count"


def bucket(name: str, value: float) -> str:
    """Return the name of the counter of a measurement's bucket: turn_s#12 counts those up to 1.25 ** 12 ms."""
    return _bucket_name(name, math.ceil(math.log(max(value, _SMALLEST_S) / _SMALLEST_S) / _LOG_GROWTH))


def bucket_end(name: str) -> float:
    """Return the highest value of a bucket, by its name."""
    return _SMALLEST_S * GROWTH ** int(name.partition("#")[2])


class _Roll:
    """One minute of one name."""

    __slots__ = ("count", "maximum", "minimum", "minute", "total")

    def __init__(self, minute: int, value: float) -> None:
        self.minute = minute
        self.count = 0
        self.total = 0.0
        self.minimum = self.maximum = value

    def add(self, count: int, value: float) -> None:
        self.count += count
        self.total += value
        if value < self.minimum:
            self.minimum = value
        elif value > self.maximum:
            self.maximum = value


class _Recent:
    """The last WINDOW measurements of one name."""

    __slots__ = ("_next", "_percentiles", "values")

    def __init__(self) -> None:
        self.values = array("d")
        self._next = 0
        self._percentiles: tuple[float, float] | None = None

    def percentiles(self) -> tuple[float, float]:
        """Return median and 95th percentile."""
        if self._percentiles is None:
            values = sorted(self.values)
            self._percentiles = values[len(values) // 2], values[min(len(values) - 1, int(0.95 * len(values)))]
        return self._percentiles

    def add(self, value: float) -> None:
        self._percentiles = None
        if len(self.values) < WINDOW:
            self.values.append(value)
        else:
            self.values[self._next] = value
            self._next = (self._next + 1) % WINDOW


class Metrics:
    """Roll-ups of all bots: a handful of names per bot, one row a minute and name. `lost` counts rows dropped."""

    __slots__ = ("_clock", "_closed", "_recent", "_rolls", "_totals", "figures", "lost")

    def __init__(self, clock: Clock) -> None:
        self.lost = 0
        self.figures = Figures(clock)
        self._clock = clock
        self._rolls: dict[tuple[str, str], _Roll] = {}
        self._closed: deque[NewMetric] = deque()
        self._recent: dict[tuple[str, str], _Recent] = {}
        self._totals: dict[str, dict[str, float]] = {}

    def count(self, bot_id: str, name: str, amount: int = 1) -> None:
        """Add to a counter."""
        self._add((bot_id, name), amount, float(amount))
        totals = self._totals_of(bot_id)
        totals[name] = totals.get(name, 0) + amount
        if name == "messages":
            self.figures.message(bot_id, amount)
        elif name == "errors":
            self.figures.error(bot_id, amount)

    def spend(self, bot_id: str, tokens: Tokens) -> None:
        """Count the tokens of an answer."""
        if tokens.input_tokens:
            self.count(bot_id, "tokens_in", tokens.input_tokens)
        if tokens.output_tokens:
            self.count(bot_id, "tokens_out", tokens.output_tokens)
        self.figures.spend(bot_id, tokens.input_tokens + tokens.output_tokens, tokens.cost_nano)

    def observe(self, bot_id: str, name: str, value: float) -> None:
        """Add a measurement."""
        self._add((bot_id, name), 1, value)
        if name in PERCENTILES:
            totals = self._totals_of(bot_id)
            totals[name] = totals.get(name, 0) + value
            count = _count_name(name)
            totals[count] = totals.get(count, 0) + 1
            self._add((bot_id, bucket(name, value)), 1, value)
            self._recent_of(bot_id, name).add(value)
            self._recent_of(FLEET, name).add(value)

    def _recent_of(self, bot_id: str, name: str) -> _Recent:
        key = (bot_id, name)
        recent = self._recent.get(key)
        if recent is None:
            recent = self._recent[key] = _Recent()
            if len(self._recent) > KEPT:
                del self._recent[next(iter(self._recent))]
        return recent

    def _totals_of(self, bot_id: str) -> dict[str, float]:
        totals = self._totals.get(bot_id)
        if totals is None:
            totals = self._totals[bot_id] = {}
        return totals

    def counted(self) -> set[str]:
        """Return the bots anything was counted for since the process began."""
        return set(self._totals)

    def totals(self, bot_id: str) -> Mapping[str, float]:
        """Return the counters of a bot since the process began; of turn_s and model_s the sum, and `NAME.count`."""
        return self._totals.get(bot_id, _NOTHING)

    def _add(self, key: tuple[str, str], count: int, value: float) -> None:
        minute = int(self._clock.now() // 60)
        roll = self._rolls.get(key)
        if roll is None or roll.minute != minute:
            if roll is not None:
                self._close(key, roll)
            roll = self._rolls[key] = _Roll(minute, value)
        roll.add(count, value)

    def _close(self, key: tuple[str, str], roll: _Roll) -> None:
        self._closed.append((*key, roll.minute, roll.count, roll.total, roll.minimum, roll.maximum))
        self._bound()

    def _bound(self) -> None:
        while len(self._closed) > CAPACITY:
            self._closed.popleft()
            self.lost += 1

    def percentile(self, bot_id: str, name: str, share: float) -> float | None:
        """Return a percentile (share in 0..1) of the last measurements of turn_s or model_s; None without any."""
        recent = self._recent.get((bot_id, name))
        if recent is None:
            return None
        values = sorted(recent.values)
        return values[min(len(values) - 1, int(share * len(values)))]

    def percentiles(self, bot_id: str, name: str) -> tuple[float, float] | tuple[None, None]:
        """Return median and 95th percentile of the last turn_s or model_s of a bot, or of FLEET; sorted once a change."""
        recent = self._recent.get((bot_id, name))
        return recent.percentiles() if recent is not None else (None, None)

    def forget(self, bot_id: str) -> None:
        """Drop what is in memory of a bot whose rows are gone."""
        self.figures.forget(bot_id)
        self._totals.pop(bot_id, None)
        self._rolls = {key: roll for key, roll in self._rolls.items() if key[0] != bot_id}
        self._recent = {key: recent for key, recent in self._recent.items() if key[0] != bot_id}
        self._closed = deque(row for row in self._closed if row[0] != bot_id)

    async def flush(self, store: Store) -> int:
        """Write down what is in memory, the minute under way included; return how many rows.

        What a store at fault refuses stays in memory. Cancelling is safe: a write under way is waited for.
        """
        rolls, self._rolls = self._rolls, {}
        for key, roll in rolls.items():
            self._close(key, roll)
        written = 0
        while self._closed:
            rows = [self._closed.popleft() for _ in range(min(CHUNK, len(self._closed)))]
            if not await self._write(store, rows):
                break
            written += len(rows)
        return written

    async def _write(self, store: Store, rows: list[NewMetric]) -> bool:
        try:
            # Rows add up in the store: one that may or may not be written could not be put back.
            with anyio.CancelScope(shield=True):
                await store.append_metrics(rows)
        except StoreError:
            self._closed.extendleft(reversed(rows))
            self._bound()
            return False
        return True
