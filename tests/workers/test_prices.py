"""What tokens cost: by public lists where a model is in them, nothing where nothing is asked for it, else not known."""

from __future__ import annotations

import pytest

from workers.prices import Prices

M = 1_000_000


@pytest.fixture
def prices() -> Prices:
    """Prices whose lists have been read."""
    made = Prices()
    made.cost(("openai", "gpt-4o-mini"), 1, 1, 0)
    assert made._reading is not None
    made._reading.join(60)
    return made


def test_reading_the_lists_keeps_nobody_waiting() -> None:
    """Until they are read the price is not known; they are read once."""
    made = Prices()
    assert made.cost(("openai", "gpt-4o-mini"), M, 0, 0) is None
    reading = made._reading
    made.cost(("openai", "gpt-4o"), M, 0, 0)
    assert made._reading is reading
    assert reading is not None
    reading.join(60)
    assert made.cost(("openai", "gpt-4o-mini"), M, 0, 0) is not None


def test_a_known_model_has_its_price(prices: Prices) -> None:
    """Input, output and cached input each have their own; the provider's name does not matter."""
    model = ("openai", "gpt-4o-mini")
    assert prices.cost(model, M, 0, 0) == pytest.approx(0.15)
    assert prices.cost(model, 0, M, 0) == pytest.approx(0.60)
    assert prices.cost(model, M, 0, M) == pytest.approx(0.075)
    assert prices.cost(model, 2 * M, M, M) == pytest.approx(0.15 + 0.075 + 0.60)
    assert prices.cost(("anything", "gpt-4o-mini"), M, 0, 0) == pytest.approx(0.15)


def test_a_model_with_steps_in_its_price_costs_what_a_turn_of_it_does(prices: Prices) -> None:
    """A day's million tokens are many small turns: the price of a long prompt is not theirs."""
    assert prices.cost(("openai", "gemini-2.5-pro"), M, 0, 0) == pytest.approx(1.25)


def test_what_is_free_is_free_and_what_is_unknown_is_not(prices: Prices) -> None:
    """echo costs nothing, no tokens cost nothing; a model nobody lists has no price rather than a wrong one."""
    assert prices.cost(("echo", ""), M, M, 0) == 0.0
    assert prices.cost(("openai", "a-model-nobody-sells"), 0, 0, 0) == 0.0
    assert prices.cost(("openai", "a-model-nobody-sells"), 1, 1, 0) is None
    assert prices.cost(("openai", ""), 1, 1, 0) is None
