"""Measures of a bot over time, from the store's minutes: counts, sums, highest values, percentiles off a histogram."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from console.answers import Column, Series
from console.base import Within
from console.errors import BadRequest
from workers.metrics import bucket_end

MOST_STEPS: Final = 2000
Step = tuple[str, int, int, float, float]
"""(name, number of the step, count, total, maximum)."""


class Course(Within):
    """What bots did over time."""

    async def series(self, bot_id: str, *, since: float, until: float, step_s: int) -> Series:
        """As Control.series."""
        fleet = self._fleet
        self._known(bot_id)
        step = max(1, step_s // 60)
        first = int(since // 60)
        steps = math.ceil((until // 60 + 1 - first) / step)
        if not 0 < steps <= MOST_STEPS:
            raise BadRequest(f"ask for 1 to {MOST_STEPS} steps, not {steps}", "take longer steps, or a shorter time")
        await fleet.metrics.flush(fleet.store)
        found = await fleet.store.partition(bot_id).metrics.steps(first, first + steps * step, step)
        return {"start": first * 60.0, "step_s": step * 60, "names": columns(found, steps)}


def columns(found: Iterable[Step], steps: int) -> dict[str, Column]:
    """Return name → columns; the buckets of a histogram become the percentiles of what they count."""
    names: dict[str, Column] = {}
    buckets: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for name, number, count, total, maximum in found:
        measure, hash_, _ = name.partition("#")
        if hash_:
            buckets.setdefault((measure, number), []).append((bucket_end(name), count))
            continue
        column = names.setdefault(name, _column(steps))
        column["count"][number], column["total"][number], column["max"][number] = count, total, maximum
    for (measure, number), counted in buckets.items():
        column = names.setdefault(measure, _column(steps))
        highest = column["max"][number]
        column["p50"][number] = percentile(counted, 0.5, highest)
        column["p95"][number] = percentile(counted, 0.95, highest)
    return names


def percentile(counted: list[tuple[float, int]], share: float, highest: float | None) -> float:
    """Return the end of the bucket the percentile falls into, never above the highest value measured."""
    counted.sort()
    wanted = share * sum(count for _, count in counted)
    below = accumulate(count for _, count in counted)
    end = next(end for (end, _), seen in zip(counted, below, strict=True) if seen >= wanted)
    return end if highest is None else min(end, highest)


def _column(steps: int) -> Column:
    return {
        "count": [None] * steps,
        "total": [None] * steps,
        "max": [None] * steps,
        "p50": [None] * steps,
        "p95": [None] * steps,
    }
