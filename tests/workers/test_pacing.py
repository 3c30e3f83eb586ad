"""Start pacing: a rate, a limit, first come first served, and no slot ever lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from workers.clock import ManualClock
from workers.pacing import StartPacing, Ticket

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def pacing(clock: ManualClock, rate_per_s: float, max_starting: int) -> AsyncIterator[StartPacing]:
    async with anyio.create_task_group() as group:
        made = StartPacing(clock, rate_per_s, max_starting)
        group.start_soon(made.run)
        await clock.advance(0)
        yield made
        group.cancel_scope.cancel()


def crowd(pacing: StartPacing, count: int) -> tuple[list[int], list[Ticket]]:
    """Let count starters join; return whose turn came, in order, and their tickets."""
    order: list[int] = []

    def note(number: int) -> Callable[[], None]:
        return lambda: order.append(number)

    return order, [pacing.join(note(number)) for number in range(count)]


async def test_a_second_s_worth_starts_at_once_then_the_rate_rules(clock: ManualClock) -> None:
    """With 10 a second, 10 of 35 start at once and the others one each tenth of a second, in order."""
    async with pacing(clock, 10, 1000) as paced:
        order, _ = crowd(paced, 35)
        assert order == list(range(10))
        await clock.advance(0.1)
        assert len(order) == 11
        await clock.advance(0.9)
        assert len(order) == 20
        await clock.advance(1.5)
        assert order == list(range(35))


async def test_no_more_than_the_limit_start_at_once(clock: ManualClock) -> None:
    """A slot given back goes to who waited longest."""
    async with pacing(clock, 0, 3) as paced:
        order, tickets = crowd(paced, 6)
        await clock.advance(100)
        assert order == [0, 1, 2]
        tickets[1].leave()
        assert order == [0, 1, 2, 3]
        for ticket in tickets:
            ticket.leave()
        assert (paced.starting, paced.queued) == (0, 0)


async def test_unpaced_means_at_once(clock: ManualClock) -> None:
    """Rate 0 lets everybody start without waiting for time to pass."""
    async with pacing(clock, 0, 5000) as paced:
        order, _ = crowd(paced, 1000)
        assert len(order) == 1000


async def test_leaving_twice_gives_one_slot_back(clock: ManualClock) -> None:
    """A ticket can be left again and again without conjuring up slots."""
    async with pacing(clock, 0, 1) as paced:
        order, tickets = crowd(paced, 3)
        tickets[0].leave()
        tickets[0].leave()
        assert order == [0, 1]
        assert paced.starting == 1


async def test_who_leaves_the_queue_is_not_waited_for(clock: ManualClock) -> None:
    """A starter that gave up takes neither a token nor a slot."""
    async with pacing(clock, 1, 1000) as paced:
        order, tickets = crowd(paced, 4)
        tickets[1].leave()
        tickets[2].leave()
        await clock.advance(1)
        assert order == [0, 3]
        assert paced.starting == 2


async def test_settings_change_while_others_wait(clock: ManualClock) -> None:
    """A higher rate, a higher limit or no pacing at all count for those who wait already; a lower limit throws nobody out."""
    async with pacing(clock, 0.1, 100) as paced:
        order, _ = crowd(paced, 30)
        assert len(order) == 1
        paced.change(20, 100)
        await clock.advance(0.5)
        assert len(order) == 11
        paced.change(0, 15)
        assert len(order) == 15
        paced.change(0, 2)
        await clock.advance(10)
        assert len(order) == 15
        paced.change(0, 100)
        assert len(order) == 30


async def test_the_first_rate_begins_with_a_second_s_worth(clock: ManualClock) -> None:
    """A pool knows its rate only when the files are read: a restarted fleet's first bots start at once all the same."""
    async with pacing(clock, 0, 1) as paced:
        paced.change(10, 1000)
        order, _ = crowd(paced, 35)
        assert order == list(range(10))


async def test_a_pause_saves_up_no_more_than_a_second_s_worth(clock: ManualClock) -> None:
    """After an hour of nothing the burst is still one second's worth."""
    async with pacing(clock, 5, 1000) as paced:
        await clock.advance(3600)
        order, _ = crowd(paced, 50)
        assert len(order) == 5


async def test_a_starter_that_gives_up_as_its_turn_comes_loses_no_slot(clock: ManualClock) -> None:
    """Leaving from within the grant itself hands the slot on."""
    async with pacing(clock, 0, 1) as paced:
        order: list[str] = []
        first = paced.join(lambda: order.append("first"))
        second = paced.join(lambda: (order.append("second"), second.leave())[0])
        third = paced.join(lambda: order.append("third"))
        first.leave()
        assert order == ["first", "second", "third"]
        assert third.granted
        assert paced.starting == 1
