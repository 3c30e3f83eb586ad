"""What a bot does at the moment: counted right, whatever the clock does, and forgotten in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.vocabulary import FLEET
from workers.clock import ManualClock
from workers.figures import DAY_AND_A_HALF_S, QUARTER_S, QUARTERS, Figures, Ring, local_midnight, per_minute


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in a place that changes its clocks."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_trend_holds_the_last_five_minutes() -> None:
    """Quarter minutes, oldest first; the last four are the last minute; older ones fall out."""
    clock = ManualClock(now=1_700_000_000.0 // 300 * 300)
    figures = Figures(clock)
    for number in range(QUARTERS + 3):
        figures.message("a", number)
        clock.jump(QUARTER_S)
    clock.jump(-QUARTER_S)
    trend = figures.trend("a")
    assert trend == list(range(3, QUARTERS + 3))
    assert per_minute(trend) == 19 + 20 + 21 + 22
    assert figures.trend(FLEET) == trend
    assert figures.trend("b") == [0] * QUARTERS
    clock.jump(QUARTERS * QUARTER_S)
    assert figures.trend("a") == [0] * QUARTERS


@pytest.mark.parametrize("jump_s", [-10.0, -100.0, -400.0, -86_400.0, 400.0, 86_400.0])
def test_a_corrected_clock_shows_nothing_that_was_not(jump_s: float) -> None:
    """Set back a little, counting goes on; set far in any direction, what was counted before is of another time."""
    clock = ManualClock()
    ring = Ring(QUARTERS, QUARTER_S)
    ring.add(clock.now(), 5)
    clock.jump(jump_s)
    assert sum(ring.values(clock.now())) == (5 if -300 <= jump_s <= 0 else 0)
    ring.add(clock.now(), 2)
    assert ring.values(clock.now())[-1] == (7 if -300 <= jump_s <= 0 else 2)
    clock.jump(900)
    assert sum(ring.values(clock.now())) == 0


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(0, 9)), max_size=40))
def test_a_ring_counts_what_lies_within_it(steps: list[tuple[float, int]]) -> None:
    """Whenever things happen, the values are those of the steps they fell into."""
    ring, at, counted = Ring(5, 10), 1_000_000.0, {}
    for later, amount in steps:
        at += later
        ring.add(at, amount)
        counted[int(at // 10)] = counted.get(int(at // 10), 0) + amount
    now = int(at // 10)
    assert ring.values(at) == [counted.get(step, 0) for step in range(now - 4, now + 1)]


def test_errors_of_an_hour() -> None:
    """They are counted by bot and over all, and gone after an hour."""
    clock = ManualClock()
    figures = Figures(clock)
    figures.error("a")
    figures.error("b", 2)
    assert [figures.errors_1h(name) for name in ("a", "b", "c", FLEET)] == [1, 2, 0, 3]
    clock.jump(3601)
    assert [figures.errors_1h(name) for name in ("a", FLEET)] == [0, 0]


def test_tokens_of_today_begin_anew_at_midnight() -> None:
    """What was spent before local midnight is no more today's, read or counted."""
    clock = ManualClock(now=local_midnight(1_700_000_000.0) + 86_400 - 10)
    figures = Figures(clock)
    figures.spend("a", 15, 2_000_000_000)
    figures.spend("a", 2, 500_000_000)
    assert figures.today("a") == (17, 2.5)
    clock.jump(11)
    assert figures.today("a") == (0, 0.0)
    figures.spend("b", 1, 0)
    assert (figures.today("a"), figures.today("b")) == ((0, 0.0), (1, 0.0))
    assert figures.midnight == local_midnight(clock.now())


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(("month", "day", "hours"), [(10, 26, 25), (3, 30, 23), (6, 1, 24)])
def test_a_day_is_as_long_as_its_clock_change_makes_it(month: int, day: int, hours: int) -> None:
    """Tokens are today's for the whole of a day of 23, 24 or 25 hours, and not a moment longer."""
    midnight = datetime(2025, month, day).timestamp()
    for second in (0, 3 * 3600, hours * 3600 - 1):
        assert local_midnight(midnight + second) == midnight
    clock = ManualClock(now=midnight)
    figures = Figures(clock)
    figures.spend("a", 3, 0)
    clock.jump(hours * 3600 - 1)
    figures.spend("a", 4, 0)
    assert figures.today("a")[0] == 7
    clock.jump(1)
    assert figures.today("a")[0] == 0
    assert figures.midnight == midnight + hours * 3600
    assert local_midnight(figures.midnight + DAY_AND_A_HALF_S) > figures.midnight


def test_what_earlier_processes_spent_is_added() -> None:
    """A restart during the day loses nothing of it; what was written down without a price is free only of free ones."""
    figures = Figures(ManualClock())
    figures.spend("a", 2, 0)
    figures.recall(
        [
            ("a", "openai", "m", 10, 20, 0, 3_000_000_000, 0),
            ("b", "echo", "", 1, 2, 0, None, 1),
            ("c", "openai", "m", 1, 2, 0, 5, 1),
        ]
    )
    assert [figures.today(bot_id) for bot_id in "abc"] == [(32, 3.0), (3, 0.0), (3, None)]


def test_one_call_without_a_price_leaves_the_cost_unknown() -> None:
    """A sum of which a part is not known is not known; the tokens are."""
    figures = Figures(ManualClock())
    figures.spend("a", 2, 7)
    figures.spend("a", 2, None)
    assert figures.today("a") == (4, None)


def test_whoever_was_counted_for_is_named_once_and_a_bot_that_is_gone_forgotten() -> None:
    """The set of bots with news, and an end to what is kept of a bot."""
    figures = Figures(ManualClock())
    figures.message("a")
    figures.message("a")
    figures.error("b")
    assert figures.changed == {"a", "b"}
    figures.forget("a")
    assert figures.trend("a") == [0] * QUARTERS
