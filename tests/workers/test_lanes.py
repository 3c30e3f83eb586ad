"""Lanes keep order within a chat, let chats run side by side, and hold nothing while idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiting import eventually
from workers.lanes import Lanes

pytestmark = pytest.mark.anyio


class Work:
    """Handles items when it is let to; remembers the order of beginnings and ends."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.names: list[str] = []
        self.most = 0
        self.gates: dict[str, anyio.Event] = {}
        self.lanes: Lanes[str]

    async def handle(self, item: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.names.append(task.get_name())
        self.begun.append(item)
        self.most = max(self.most, len(self.begun) - len(self.done))
        if item in self.gates:
            await self.gates[item].wait()
        else:
            await anyio.lowlevel.checkpoint()
        self.done.append(item)

    def gate(self, *items: str) -> None:
        self.gates |= {item: anyio.Event() for item in items}


@asynccontextmanager
async def working(max_lanes: int = 4) -> AsyncIterator[Work]:
    async with anyio.create_task_group() as group:
        work = Work()
        work.lanes = Lanes(group, work.handle, bot_id="support", max_lanes=max_lanes)
        yield work
        group.cancel_scope.cancel()


async def test_a_slow_lane_delays_itself_only() -> None:
    """Items behind a slow one wait, other lanes go on."""
    async with working() as work:
        work.gate("a1")
        for item in ("a1", "a2", "b1", "b2"):
            work.lanes.put(item[0], item)
        await eventually(lambda: work.done == ["b1", "b2"])
        work.gates["a1"].set()
        await work.lanes.wait_idle()
        assert work.done == ["b1", "b2", "a1", "a2"]


async def test_at_most_max_lanes_work_at_once_and_in_turn() -> None:
    """With one place, lanes take turns item by item instead of one lane emptying itself first."""
    async with working(max_lanes=1) as work:
        for item in ("a1", "a2", "a3", "b1", "c1"):
            work.lanes.put(item[0], item)
        await work.lanes.wait_idle()
        assert work.done == ["a1", "b1", "c1", "a2", "a3"]
        assert work.most == 1


async def test_who_steps_aside_gives_its_place_and_keeps_its_order() -> None:
    """A lane that waits for long lets another one work; its own later items still wait for it."""
    async with working(max_lanes=1) as work:
        back = anyio.Event()

        async def handle(item: str) -> None:
            if item == "a1":
                with work.lanes.aside():
                    await back.wait()
            work.done.append(item)

        work.lanes._handle = handle
        for item in ("a1", "a2", "b1", "c1"):
            work.lanes.put(item[0], item)
        await eventually(lambda: work.done == ["b1", "c1"])
        back.set()
        await work.lanes.wait_idle()
        assert work.done == ["b1", "c1", "a1", "a2"]


async def test_stopping_finishes_what_has_begun_and_begins_nothing() -> None:
    """After `stop` the item being handled ends, the one behind it and other lanes stay open."""
    async with working() as work:
        work.gate("a1")
        work.lanes.put("a", "a1")
        work.lanes.put("a", "a2")
        await eventually(lambda: work.begun == ["a1"])
        work.lanes.stop()
        work.lanes.put("b", "b1")
        work.gates["a1"].set()
        await work.lanes.wait_idle()
        assert (work.done, work.lanes.open) == (["a1"], 2)
        assert sorted(work.lanes.items()) == ["a2", "b1"]


async def test_more_places_are_used_at_once() -> None:
    """`resize` starts lanes that waited for a place."""
    async with working(max_lanes=1) as work:
        work.gate("a1", "b1", "c1")
        for item in ("a1", "b1", "c1"):
            work.lanes.put(item[0], item)
        await eventually(lambda: work.begun == ["a1"])
        work.lanes.resize(3)
        await eventually(lambda: sorted(work.begun) == ["a1", "b1", "c1"])


async def test_idle_lanes_hold_nothing() -> None:
    """Without work there is no lane; after `rest` there is no task either, and work starts again all the same."""
    async with working() as work:
        for n in range(100):
            work.lanes.put(f"chat {n}", f"m{n}")
        await work.lanes.wait_idle()
        assert len(work.lanes._lanes) == 0
        work.lanes.rest()
        await eventually(lambda: not any(t.get_name().startswith("support/lane") for t in asyncio.all_tasks()))
        work.lanes.put("again", "m")
        await eventually(lambda: work.done[-1] == "m")


async def test_runners_are_used_again() -> None:
    """Item after item of a busy bot is handled by the task at hand, named for the lane it works for."""
    async with working() as work:
        for n in range(20):
            work.lanes.put(f"chat {n}", f"m{n}")
            await work.lanes.wait_idle()
        runners = [t for t in asyncio.all_tasks() if t.get_name().startswith("support/lane")]
        assert len(runners) == 1
        assert work.names == [f"support/lane chat {n}" for n in range(20)]


@settings(max_examples=40, deadline=None)
@given(
    plan=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3)), max_size=60),
    places=st.integers(1, 4),
    pauses=st.lists(st.integers(0, 5), max_size=60),
)
def test_any_arrival_keeps_order_and_loses_nothing(plan: list[tuple[str, int]], places: int, pauses: list[int]) -> None:
    """Whatever arrives when: each lane's items are handled once, in order, never more than max_lanes at once."""

    async def scenario() -> None:
        async with anyio.create_task_group() as group:
            done: list[tuple[str, int]] = []
            at_once = most = 0

            async def handle(item: tuple[str, int, int]) -> None:
                nonlocal at_once, most
                at_once += 1
                most = max(most, at_once)
                for _ in range(item[2]):
                    await anyio.lowlevel.checkpoint()
                at_once -= 1
                done.append(item[:2])

            lanes: Lanes[tuple[str, int, int]] = Lanes(group, handle, bot_id="x", max_lanes=places)
            for number, (lane, length) in enumerate(plan):
                lanes.put(lane, (lane, number, length))
                for _ in range(pauses[number] if number < len(pauses) else 0):
                    await anyio.lowlevel.checkpoint()
                if number % 7 == 6:
                    lanes.rest()
            await lanes.wait_idle()
            for lane in "abcdef":
                mine = [number for name, number in done if name == lane]
                assert mine == sorted(mine)
            assert len(done) == len(plan)
            assert most <= places
            assert lanes.open == 0
            group.cancel_scope.cancel()

    asyncio.run(scenario())
