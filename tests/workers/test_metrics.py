"""Roll-ups by the minute: added up right, bounded, and not lost when the database is away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.bot_rig import House, bot_house
from workers import metrics
from workers.clock import ManualClock
from workers.metrics import Metrics

pytestmark = pytest.mark.anyio

ROWS = "SELECT bot_id, name, minute, count, total, minimum, maximum FROM metrics WHERE name NOT LIKE '%#%' ORDER BY bot_id, name, minute"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with bot_house(tmp_path, ManualClock(now=600.0)) as house:
        yield house


async def test_minutes_are_kept_apart_and_flushes_add_up(house: House) -> None:
    """Two flushes within a minute make one row; the next minute has its own."""
    kept = house.services.metrics
    kept.count("a", "messages", 2)
    kept.observe("a", "turn_s", 0.5)
    assert await kept.flush(house.store) == 3, "two measures, and one bucket of a histogram"
    kept.count("a", "messages", 3)
    kept.observe("a", "turn_s", 0.1)
    await house.advance(60)
    kept.observe("a", "turn_s", 2.0)
    kept.observe("b", "turn_s", 4.0)
    assert await kept.flush(house.store) == 7
    assert await kept.flush(house.store) == 0
    assert house.rows(ROWS) == [
        ("a", "messages", 10, 5, 5.0, 2.0, 3.0),
        ("a", "turn_s", 10, 2, 0.6, 0.1, 0.5),
        ("a", "turn_s", 11, 1, 2.0, 2.0, 2.0),
        ("b", "turn_s", 11, 1, 4.0, 4.0, 4.0),
    ]


async def test_nothing_is_lost_while_the_database_refuses(house: House) -> None:
    """A refused flush keeps everything; it is written once the database is back, once."""
    kept = house.services.metrics
    kept.count("a", "messages", 2)
    await house.break_store()
    assert await kept.flush(house.store) == 0
    kept.count("a", "messages", 1)
    await house.mend_store()
    await kept.flush(house.store)
    assert house.rows(ROWS) == [("a", "messages", 10, 3, 3.0, 1.0, 2.0)]


async def test_what_is_kept_is_bounded_and_losses_are_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that stays away costs the oldest minutes, not the memory."""
    monkeypatch.setattr(metrics, "CAPACITY", 10)
    kept = house.services.metrics
    await house.break_store()
    for _ in range(15):
        kept.count("a", "messages")
        await kept.flush(house.store)
        await house.advance(60)
    assert kept.lost == 5
    await house.mend_store()
    await kept.flush(house.store)
    assert [row[2] for row in house.rows(ROWS)] == list(range(15, 25))


def test_percentiles_of_the_last_measurements() -> None:
    """They come from a window of the newest; counters and other names have none."""
    kept = Metrics(ManualClock())
    assert kept.percentile("a", "turn_s", 0.5) is None
    for value in range(1000):
        kept.observe("a", "turn_s", float(value))
        kept.observe("a", "poll_age", float(value))
    assert kept.percentile("a", "turn_s", 0.0) == 1000 - metrics.WINDOW
    assert kept.percentile("a", "turn_s", 1.0) == 999
    assert kept.percentile("a", "poll_age", 0.5) is None


async def test_a_bot_that_is_gone_leaves_nothing(house: House) -> None:
    """After `forget` no row of that bot is written, the others' are."""
    kept = house.services.metrics
    for bot in ("a", "b"):
        kept.observe(bot, "turn_s", 1.0)
    await house.advance(60)
    for bot in ("a", "b"):
        kept.observe(bot, "turn_s", 1.0)
    kept.forget("a")
    await kept.flush(house.store)
    assert {row[0] for row in house.rows(ROWS)} == {"b"}
    assert kept.percentile("a", "turn_s", 0.5) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.floats(-1e6, 1e6)), max_size=50))
def test_rows_say_what_was_measured(measured: list[tuple[str, int, float]]) -> None:
    """Whatever comes in whichever minute: count, minimum and maximum of each row are those of its values."""
    clock = ManualClock(now=0.0)
    kept = Metrics(clock)
    expected: dict[tuple[str, int], list[float]] = defaultdict(list)
    for bot, later, value in sorted(measured, key=lambda m: m[1]):
        clock.jump(later * 60 - clock.now())
        kept.observe(bot, "turn_s", value)
        expected[bot, later].append(value)
    rows = {(row[0], row[2]): row for row in (*kept._closed, *_open_rows(kept)) if "#" not in row[1]}
    assert rows.keys() == expected.keys()
    for key, values in expected.items():
        assert rows[key][3] == len(values)
        assert rows[key][5:] == (min(values), max(values))
        assert rows[key][4] == pytest.approx(sum(values), abs=1e-3)


def _open_rows(kept: Metrics) -> list[tuple[str, str, int, int, float, float, float]]:
    return [
        (*key, roll.minute, roll.count, roll.total, roll.minimum, roll.maximum) for key, roll in kept._rolls.items()
    ]
