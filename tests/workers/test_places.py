"""Of one bot's turns few compute at once, however many wait for others; long steps let everybody in between."""

from __future__ import annotations

import anyio
import pytest

from tests.waiting import eventually
from workers.places import OneByOne, Places

pytestmark = pytest.mark.anyio


class Crowd:
    """Tasks that take a place; who is inside now, and how many were at most."""

    def __init__(self, count: int) -> None:
        self.places = Places(count)
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
    places = Places(1)
    await places.take()
    with pytest.raises(RuntimeError):
        async with places:
            await places.take()  # another has it meanwhile
            raise RuntimeError("lost")
    assert places._free == -1
    places.give()
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
