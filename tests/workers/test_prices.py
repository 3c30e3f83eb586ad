"""What tokens cost: the fleet's own prices first, public lists then, and never nothing for what is not known."""

from __future__ import annotations

import asyncio

import pytest

from config.schema import PriceSection
from workers.prices import NANO, Prices

pytestmark = pytest.mark.anyio

M = 1_000_000
MINI = ("openai", "gpt-4o-mini")


async def dollars(prices: Prices, model: tuple[str, str], sent: int, received: int, cached: int = 0) -> float | None:
    cost = await prices.cost_nano(model, sent, received, cached)
    return None if cost is None else cost / NANO


async def test_a_listed_model_has_its_price() -> None:
    """Input, output and cached input each have their own; the provider's name does not matter."""
    prices = Prices()
    assert await dollars(prices, MINI, M, 0) == pytest.approx(0.15)
    assert await dollars(prices, MINI, 0, M) == pytest.approx(0.60)
    assert await dollars(prices, MINI, M, 0, M) == pytest.approx(0.075)
    assert await dollars(prices, MINI, 2 * M, M, M) == pytest.approx(0.15 + 0.075 + 0.60)
    assert await dollars(prices, ("anything", MINI[1]), M, 0) == pytest.approx(0.15)
    assert await dollars(prices, MINI, 1, 0, 5) == pytest.approx(5 * 0.075 / M)


async def test_a_model_with_steps_in_its_price_costs_what_a_turn_of_it_does() -> None:
    """The price of a long prompt is not that of many small turns."""
    assert await dollars(Prices(), ("openai", "gemini-2.5-pro"), M, 0) == pytest.approx(1.25)


async def test_what_is_free_is_free_and_what_is_unknown_is_not() -> None:
    """echo costs nothing; a model nobody lists has no price, and neither have tokens nobody told."""
    prices = Prices()
    assert await dollars(prices, ("echo", ""), M, M) == 0.0
    assert await dollars(prices, ("echo", "echo-1"), 0, 0) == 0.0
    assert await dollars(prices, ("openai", "a-model-nobody-sells"), 1, 1) is None
    assert await dollars(prices, ("openai", ""), 1, 1) is None
    assert await dollars(prices, MINI, 0, 0) is None


async def test_the_lists_are_read_once_and_nobody_is_priced_without_them() -> None:
    """Turns that end while they are read wait for them; a fleet of free models never reads them."""
    prices = Prices()
    prices.warm("echo")
    await prices.cost_nano(("echo", ""), 1, 1, 0)
    assert prices._reading is None
    prices.warm("openai")
    reading = prices._reading
    found = await asyncio.gather(*(dollars(prices, MINI, M, 0) for _ in range(20)))
    assert found == [pytest.approx(0.15)] * 20
    assert prices._reading is reading


async def test_the_fleets_own_prices_come_first() -> None:
    """The first that fits: by name, by its beginning, by provider; also for what is free, or unknown, elsewhere."""
    prices = Prices(
        [
            PriceSection(model="gpt-4o-mini", provider="openai", input=1.0, output=2.0),
            PriceSection(model="gpt-4o*", input=4.0, output=8.0, cached=1.0),
            PriceSection(model="own", input=0.0, output=0.0),
            PriceSection(model="echo-1", input=1.0, output=1.0),
        ]
    )
    assert await dollars(prices, MINI, M, M, M) == pytest.approx(1.0 + 2.0)
    assert await dollars(prices, ("other", "gpt-4o-mini"), M, 0, M) == pytest.approx(1.0)
    assert await dollars(prices, ("openai", "own"), 0, 0) == 0.0
    assert await dollars(prices, ("echo", "echo-1"), M, 0) == pytest.approx(1.0)
    prices.own([])
    assert await dollars(prices, MINI, M, 0) == pytest.approx(0.15)
