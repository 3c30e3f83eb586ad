"""Back-off and quarantine as arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.backoff import CLEAN, HALF_OPEN_S, KEPT, LIMIT, TOP_LEVEL, WINDOW_MS, History, delay_s

MINUTE = 60_000


def after(*failures: tuple[int, str]) -> History:
    history = CLEAN
    for at_ms, fingerprint in failures:
        history = history.failed(at_ms, fingerprint)
    return history


@pytest.mark.parametrize(
    ("level", "full"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (99, 60)]
)
def test_the_wait_doubles_up_to_a_minute_with_equal_jitter(level: int, full: float) -> None:
    """The wait lies between half of the doubled base and all of it, and is spread over that range."""
    waits = [delay_s(level) for _ in range(500)]
    assert full / 2 <= min(waits) < full * 0.55
    assert full * 0.95 < max(waits) <= full


def test_the_first_retry_comes_within_a_second() -> None:
    """After one failure the wait is at most a second, after the second at most two."""
    assert after((0, "a")).wait_s() <= 1
    assert 1 <= after((0, "a"), (1, "b")).wait_s() <= 2


def test_failures_of_different_kinds_reach_the_cap_but_no_quarantine() -> None:
    """A bot failing each time differently is tried again for ever, a minute apart at most."""
    history = after(*((at, f"kind {at}") for at in range(50)))
    assert history.sentence == ()
    assert history.level == TOP_LEVEL
    assert 30 <= history.wait_s() <= 60


def test_five_alike_within_ten_minutes_are_a_quarantine() -> None:
    """The fifth failure with one fingerprint condemns, the fourth does not, whatever lies in between."""
    four = after((0, "a"), (1, "b"), (2, "a"), (3, "b"), (4, "a"), (5, "a"))
    assert four.sentence == ()
    five = four.failed(WINDOW_MS - 1, "a")
    assert [fingerprint for _, fingerprint in five.sentence] == ["a"] * LIMIT
    assert five.wait_s() == HALF_OPEN_S


def test_five_alike_spread_over_more_than_ten_minutes_are_none() -> None:
    """The window slides: the first failure no longer counts once ten minutes have passed."""
    assert after(*((at * MINUTE * 5 // 2, "a") for at in range(20))).sentence == ()
    assert after((0, "a"), (1, "a"), (2, "a"), (3, "a"), (WINDOW_MS, "a")).sentence == ()


def test_a_failed_try_out_of_quarantine_ends_there_again_at_once() -> None:
    """The sentence stands until it is forgotten: each further failure, alike or not, waits half an hour again."""
    history = after(*((at, "a") for at in range(5)))
    for number in range(1, 100):
        history = history.failed(number * 30 * MINUTE, "a" if number % 2 else f"other {number}")
        assert history.wait_s() == HALF_OPEN_S
        assert len(history.failures) == LIMIT + 1


def test_what_was_the_worlds_fault_is_taken_back() -> None:
    """Failures of one fingerprint since a moment are struck out, older and others stay, the wait shrinks with them."""
    history = after((0, "a"), (100, "b"), (200, "a"), (300, "a"))
    left = history.without("a", 200)
    assert left.failures == ((0, "a"), (100, "b"))
    assert left.level == 2
    condemned = after(*((at, "a") for at in range(5)))
    assert condemned.without("a", 0) == CLEAN


def test_trouble_of_the_database_is_not_counted_but_spreads_the_tries() -> None:
    """A postponed bot waits longer each time and has no failure more."""
    history = CLEAN
    for _ in range(20):
        history = history.postponed()
    assert history.failures == ()
    assert 30 <= history.wait_s() <= 60
    assert not history.clean


@given(st.lists(st.tuples(st.integers(0, 10**7), st.sampled_from("abc")), max_size=200))
def test_a_history_stays_small_and_its_wait_in_bounds(failures: list[tuple[int, str]]) -> None:
    """Whatever happens, a history is bounded, and the wait is a back-off or the half hour of a quarantine."""
    history = after(*sorted(failures))
    assert len(history.failures) <= KEPT
    wait_s = history.wait_s()
    assert wait_s == HALF_OPEN_S if history.sentence else 0.5 <= wait_s <= 60
