"""One at a time for each id, whoever asks, waits or gives up."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from tests.waiting import eventually
from workers.errors import BotClosed
from workers.flights import Flights

pytestmark = pytest.mark.anyio


class Making:
    """Makes numbers when it is let, and counts."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = anyio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return number


async def test_many_who_ask_at_once_have_it_made_once() -> None:
    flights, making = Flights[int](), Making()
    asking = [asyncio.create_task(flights.join("a", making)) for _ in range(20)]
    await eventually(lambda: making.begun)
    assert set(flights) == {"a"}
    making.gate.set()
    assert await asyncio.gather(*asking) == [1] * 20
    assert not flights
    assert await flights.join("a", making) == 2


async def test_a_slow_one_is_nobody_elses() -> None:
    flights, slow, quick = Flights[int](), Making(), Making()
    quick.gate.set()
    waiting = asyncio.create_task(flights.join("slow", slow))
    assert await flights.join("quick", quick) == 1
    slow.gate.set()
    assert await waiting == 1


async def test_a_failure_is_told_to_all_who_wait_and_then_forgotten() -> None:
    flights, making = Flights[int](), Making()
    making.error = ValueError("no")
    asking = [asyncio.create_task(flights.join("a", making)) for _ in range(3)]
    await eventually(lambda: making.begun)
    making.gate.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError] * 3
    making.error = None
    assert await flights.join("a", making) == 2


async def test_who_gives_up_stops_it_for_nobody() -> None:
    flights, making = Flights[int](), Making()
    first, second = (asyncio.create_task(flights.join("a", making)) for _ in range(2))
    await eventually(lambda: making.begun)
    first.cancel()
    await eventually(first.done)
    making.gate.set()
    assert await second == 1
    assert first.cancelled()


async def test_a_failure_nobody_waits_for_is_no_warning() -> None:
    flights, making = Flights[int](), Making()
    making.error = ValueError("no")
    asking = asyncio.create_task(flights.join("a", making))
    await eventually(lambda: making.begun)
    asking.cancel()
    making.gate.set()
    await flights.landed("a")
    assert not flights


async def test_renewed_is_what_was_begun_afterwards() -> None:
    flights, making = Flights[int](), Making()
    before = asyncio.create_task(flights.join("a", making))
    await eventually(lambda: making.begun)
    renewing = [asyncio.create_task(flights.renew("a", making)) for _ in range(3)]
    making.gate.set()
    assert await before == 1
    assert await asyncio.gather(*renewing) == [2, 2, 2]


async def test_closed_it_gives_up_what_is_made() -> None:
    flights, making = Flights[int](), Making()
    asking = asyncio.create_task(flights.join("a", making))
    await eventually(lambda: making.begun)
    await flights.close()
    with pytest.raises(BotClosed):
        await asking
    await flights.close()
