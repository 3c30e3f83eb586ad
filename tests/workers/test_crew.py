"""A task that swallows its cancellation is left behind, and keeps no core busy from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from workers.channels.loopback import LoopbackChannel
from workers.crew import Crew
from workers.run import Run

pytestmark = pytest.mark.anyio

TURNS_OF_THE_LOOP = 200
NOW_AND_THEN = 5


class Stubborn:
    """Waits to be released and heeds no cancellation meanwhile."""

    def __init__(self) -> None:
        self.waiting = False
        self.released = anyio.Event()
        self.swallowed = 0

    async def wait(self, *_: Any, **__: Any) -> None:
        """Be stubborn."""
        self.waiting = True
        while not self.released.is_set():
            try:
                await self.released.wait()
            except anyio.get_cancelled_exc_class():
                self.swallowed += 1
        self.waiting = False

    async def disturbed(self) -> int:
        """Return how often it is disturbed from now on, in so many turns of the loop."""
        before = self.swallowed
        for _ in range(TURNS_OF_THE_LOOP):
            await anyio.lowlevel.checkpoint()
        return self.swallowed - before


async def test_what_was_let_go_is_not_disturbed_any_more() -> None:
    """The cancellation of a group comes at every turn of the loop, until the crew is let go; it ends all the same."""
    stubborn, obedient = Stubborn(), anyio.Event()

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            obedient.set()

    async def disturb() -> None:
        await eventually(lambda: stubborn.waiting)
        group.cancel_scope.cancel()
        await obedient.wait()
        try:
            assert await stubborn.disturbed() > TURNS_OF_THE_LOOP // 2, "the danger this is about is gone"
            crew.let_go()
            await anyio.lowlevel.checkpoint()
            assert await stubborn.disturbed() <= NOW_AND_THEN
        finally:
            stubborn.released.set()

    async with anyio.create_task_group() as outside:
        outside.start_soon(disturb)
        async with anyio.create_task_group() as group:
            crew = Crew(group)
            crew.start_soon(stubborn.wait)
            crew.start_soon(wait)


@pytest.fixture
async def house(tmp_path: Path, clock: Any) -> Any:
    async with bot_house(tmp_path, clock) as made:
        yield made


def run_of(house: House) -> Run:
    return Run("support", house.worker, house.clock.monotonic(), lambda: None)


async def left_behind(house: House, run: Run, stubborn: Stubborn) -> None:
    """Cancel a run as its keeper does, twice, and let it go; it must be at peace then."""
    run.cancel(house.clock.monotonic())
    await eventually(lambda: stubborn.swallowed > 0)
    run.cancel(house.clock.monotonic())
    run.let_go()
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
    disturbed, ended = await stubborn.disturbed(), run.done
    stubborn.released.set()
    await eventually(lambda: run.done)
    assert (disturbed <= NOW_AND_THEN, ended) == (True, False)


async def test_a_turn_that_swallows_its_cancellation_costs_nothing_once_left_behind(house: House) -> None:
    """The model, a tool, a channel: whatever it is that a turn waits for."""
    stubborn = Stubborn()
    house.model.complete = stubborn.wait  # type: ignore[method-assign,assignment]
    run = run_of(house)
    house.channel.say("hello")
    await eventually(lambda: stubborn.waiting)
    await left_behind(house, run, stubborn)


async def test_a_poll_that_swallows_its_cancellation_costs_nothing_once_left_behind(house: House) -> None:
    """It runs in the worker's own task, and is cancelled by the drain already."""
    stubborn = Stubborn()

    class Deaf(LoopbackChannel):
        async def poll(self, offset: int | None, *, brief: bool = False) -> list[dict[str, Any]]:
            await stubborn.wait()
            return []

    house.channel = Deaf(clock=house.clock)
    run = run_of(house)
    await eventually(lambda: stubborn.waiting)
    run.drain(house.clock.monotonic())
    await left_behind(house, run, stubborn)
