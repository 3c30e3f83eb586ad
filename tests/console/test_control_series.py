"""Measures over time through every Control: what was counted, sums, highest values, percentiles of a histogram."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.control import Control
from console.course import MOST_STEPS, columns, percentile
from console.errors import BadRequest
from console.runtime import Fleet
from workers.errors import NoSuchBot
from workers.metrics import GROWTH, bucket, bucket_end

pytestmark = pytest.mark.anyio


async def test_what_was_counted_stands_in_its_step(control: Control, fleet: Fleet) -> None:
    """Steps of minutes: what the store has and what is still in memory; empty steps are None."""
    minute = int(fleet.clock.now() // 60)
    rows = [
        ("alpha", "messages", minute - ago, count, float(count), 1.0, 1.0) for ago, count in ((9, 2), (8, 3), (1, 5))
    ]
    await fleet.store.append_metrics(rows)
    fleet.metrics.count("alpha", "messages", 4)
    since = (minute - 9) * 60.0
    found = await control.series("alpha", since=since, until=minute * 60.0, step_s=120)
    assert (found["start"], found["step_s"]) == (since, 120)
    assert found["names"]["messages"]["count"] == [5, None, None, None, 9]
    assert found["names"]["messages"]["total"] == [5.0, None, None, None, 9.0]
    assert found["names"]["messages"]["p95"] == [None] * 5
    other = await control.series("beta", since=since, until=minute * 60.0, step_s=120)
    assert "messages" not in other["names"]


async def test_percentiles_are_near_the_true_ones(control: Control, fleet: Fleet) -> None:
    """Read off the histogram they are at most a quarter above the true value, never below it, and never above the highest."""
    drawn = random.Random(7)
    values = sorted(drawn.lognormvariate(0.0, 1.0) for _ in range(1000))
    for value in values:
        fleet.metrics.observe("alpha", "turn_s", value)
    now = fleet.clock.now()
    found = await control.series("alpha", since=now - 3600, until=now, step_s=7200)
    column = found["names"]["turn_s"]
    assert column["count"] == [1000]
    assert column["max"] == [pytest.approx(values[-1])]
    for name, true in (("p50", values[499]), ("p95", values[949])):
        [read] = column[name]  # type: ignore[literal-required]
        assert true <= read <= true * GROWTH
    assert not [name for name in found["names"] if "#" in name]


async def test_nothing_measured_is_nothing(control: Control) -> None:
    """A time before the fleet was is an answer without names."""
    assert (await control.series("alpha", since=0.0, until=600.0, step_s=60))["names"] == {}


async def test_what_cannot_be_drawn_is_refused(control: Control) -> None:
    """Too many steps, a time that ends before it begins, no such bot."""
    for since, until, step_s in ((0.0, 1e9, 60), (600.0, 0.0, 60), (0.0, 60.0 * (MOST_STEPS + 1), 1)):
        with pytest.raises(BadRequest, match="steps"):
            await control.series("alpha", since=since, until=until, step_s=step_s)
    with pytest.raises(NoSuchBot):
        await control.series("nobody", since=0.0, until=60.0, step_s=60)


@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_at_most_a_bucket_too_high(values: list[float], share: float) -> None:
    """Whatever was measured: not below the true one, at most a quarter above it."""
    counted: dict[float, int] = {}
    for value in values:
        end = bucket_end(bucket("turn_s", value))
        counted[end] = counted.get(end, 0) + 1
    values.sort()
    true = next(value for rank, value in enumerate(values, 1) if rank >= share * len(values))
    read = percentile(list(counted.items()), share, values[-1])
    assert true * 0.999999 <= read <= true * GROWTH * 1.000001


def test_buckets_grow_without_gap() -> None:
    """Each bucket begins where the one before ends; what is too small falls into the first."""
    assert bucket("turn_s", 0.0) == bucket("turn_s", 0.001) == "turn_s#0"
    ends = [bucket_end(f"turn_s#{number}") for number in range(40)]
    for before, end in pairwise(ends):
        assert bucket("turn_s", before * 1.0001) == bucket("turn_s", end * 0.9999)


def test_a_histogram_without_its_measure_still_has_percentiles() -> None:
    """Rows of which retention took one half do no harm."""
    found = columns([("turn_s#10", 0, 4, 0.0, 0.0)], 2)
    assert found["turn_s"]["count"] == [None, None]
    assert found["turn_s"]["p50"] == [pytest.approx(bucket_end("turn_s#10")), None]
