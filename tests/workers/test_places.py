"""Of one bot's turns few compute at once, however many wait for others; long steps let everybody in between."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import anyio
import pytest

from tests.waiting import eventually
from workers.logbook import current_bot
from workers.places import ALONE_S, AT_ONCE, Neighbours, OneByOne, Places

pytestmark = pytest.mark.anyio


class Crowd:
    """Tasks that take a place; who is inside now, and how many were at most."""

    def __init__(self, count: int, neighbours: Neighbours | None = None, pace_s: float = 0.0001) -> None:
        self.places = Places(neighbours, count=count, pace_s=pace_s)
        self.inside = self.most = self.through = 0
        self.waits = anyio.Event()

    def _in(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)

    async def work(self, *, wait: bool = False) -> None:
        await self.places.take()
        self._in()
        try:
            await anyio.lowlevel.checkpoint()
            if wait:
                await self._away()
                await anyio.lowlevel.checkpoint()
        finally:
            self.inside -= 1
            self.places.give()
        self.through += 1

    async def _away(self) -> None:
        self.inside -= 1
        try:
            async with self.places:
                await self.waits.wait()
        finally:
            self._in()


async def test_few_are_inside_at_once_also_when_all_come_back_together() -> None:
    """Thirty wait for a model side by side; when it answers them all in one moment, two at a time go on."""
    crowd = Crowd(2)
    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(lambda: crowd.work(wait=True))
        await eventually(lambda: crowd.places._free == 2)
        assert crowd.through == 0
        crowd.waits.set()
    assert (crowd.through, crowd.most, crowd.places._free) == (30, 2, 2)


async def test_a_place_is_never_lost() -> None:
    """Whoever is cancelled, waiting for a place or away from it, leaves as many as there were."""
    crowd = Crowd(2)
    for _ in range(5):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(lambda n=number: crowd.work(wait=n % 2 == 0))
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert (crowd.inside, crowd.places._free) == (0, 2)


async def test_an_error_while_away_comes_back_at_once() -> None:
    """It need not wait behind others for a place it gives away again."""
    places = Places(count=1)
    await places.take()
    with pytest.raises(RuntimeError):
        async with places:
            await places.take()  # another has it meanwhile
            raise RuntimeError("lost")
    assert places._free == -1
    places.give()
    places.give()
    assert places._free == 1


async def test_who_has_little_left_to_do_is_back_at_once() -> None:
    """Beyond the limit, and the next one begins only when both are done."""
    places, begun = Places(count=1), []

    async def begin() -> None:
        await places.take()
        begun.append("next")

    await places.take()
    with places:
        await places.take()  # another has it meanwhile
    assert places._free == -1
    async with anyio.create_task_group() as group:
        group.start_soon(begin)
        await eventually(lambda: bool(places._queue))
        places.give()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert not begun
        places.give()
    assert begun == ["next"]


class Busy(Neighbours):
    """A loop on which somebody else has always just taken a step."""

    def alone(self, who: object, now: float) -> bool:
        super().alone(object(), now)
        return super().alone(who, now)


async def test_who_has_much_to_do_does_it_at_a_pace() -> None:
    """However many places are free: after a few steps at once the others wait."""
    crowd = Crowd(30, Busy(), pace_s=3600.0)
    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(crowd.work)
        await eventually(lambda: crowd.through == AT_ONCE)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert crowd.through == AT_ONCE
        group.cancel_scope.cancel()
    assert crowd.places._free == 30


async def test_all_go_on_in_time() -> None:
    """Nobody is left waiting by a pace."""
    crowd = Crowd(2, Busy())
    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(lambda: crowd.work(wait=True))
        await eventually(lambda: crowd.places._free == 2)
        crowd.waits.set()
    assert (crowd.through, crowd.places._free) == (30, 2)


@pytest.mark.parametrize("neighbours", [None, Neighbours()])
async def test_alone_everybody_has_what_is_free(neighbours: Neighbours | None) -> None:
    """Without others there is nobody to leave the loop to."""
    crowd = Crowd(30, neighbours, pace_s=3600.0)
    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(crowd.work)
    assert (crowd.through, crowd.most) == (30, 30)


def test_who_is_alone() -> None:
    """The first is, until another comes; then whoever has been the only one for a while."""
    neighbours, one, other = Neighbours(), "one", "other"
    assert neighbours.alone(one, 100.0)
    assert not neighbours.alone(other, 100.1)
    assert not neighbours.alone(one, 100.2)
    assert not neighbours.alone(one, 100.1 + ALONE_S)
    assert neighbours.alone(one, 100.3 + ALONE_S)


async def test_a_cancellation_on_the_way_back_is_heard_later() -> None:
    """What was waited for may have been paid for: it is not lost for want of a place."""
    places, back = Places(count=1), []

    async def come_back() -> None:
        await places.take()
        async with places:
            await places.take()  # another has it meanwhile
        back.append("there")
        await anyio.lowlevel.checkpoint()
        back.append("on")

    async with anyio.create_task_group() as group:
        group.start_soon(come_back)
        await eventually(lambda: bool(places._queue))
        group.cancel_scope.cancel()
        places.give()
    assert back == ["there"]


async def test_a_task_cancelled_on_the_way_back_leaves_as_many_places_as_there_were() -> None:
    """By whoever holds the task itself, a program perhaps: no scope keeps that from being heard at once."""
    places = Places(count=1)

    async def come_back() -> None:
        await places.take()
        try:
            async with places:
                await places.take()  # another has it meanwhile
        finally:
            places.give()

    task = asyncio.get_running_loop().create_task(come_back())
    await eventually(lambda: bool(places._queue))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    places.give()
    assert places._free == 1


async def test_long_steps_let_others_onto_the_loop_in_between() -> None:
    """Two of them never follow each other within one turn of the loop."""
    large, order = OneByOne(), []

    async def long() -> None:
        async with large:
            order.append("long")

    async def others() -> None:
        while order.count("long") < 3:
            order.append("-")
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(long)
        group.start_soon(others)
    text = " ".join(order)
    assert "long long" not in text, text


async def test_long_steps_go_on_when_one_is_cancelled() -> None:
    """At the door or inside."""
    large = OneByOne()
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with large:
            pass
    async with large:
        pass


async def test_long_steps_leave_most_of_the_loop_to_others() -> None:
    """After one that took its time the next does not come at once."""
    large, turns, between = OneByOne(), 0, []

    async def long() -> None:
        async with large:
            between.append(turns)
            until = time.perf_counter() + 0.005
            while time.perf_counter() < until:
                pass

    async def others() -> None:
        nonlocal turns
        while len(between) < 3:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(long)
        group.start_soon(others)
    assert all(after - before > 20 for before, after in pairwise(between)), between


async def test_bots_take_turns_at_long_steps() -> None:
    """One that waits a hundred times does not keep another waiting for all of them."""
    large, order = OneByOne(), []

    async def long(bot_id: str) -> None:
        current_bot.set(bot_id)
        async with large:
            order.append(bot_id)

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(long, "many")
        for _ in range(2):
            group.start_soon(long, "few")
    assert order == ["many", "many", "few", "many", "few", "many", "many", "many"]
