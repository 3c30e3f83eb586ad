"""First come, first served; no more than allowed; and nothing is held of who has left."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.desk import Desk, Desks, Line

pytestmark = pytest.mark.anyio


async def steps(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Queue:
    """A line, and who is in it."""

    def __init__(self, count: int) -> None:
        self.line = Line(count)
        self.let_in: list[int] = []
        self.inside: deque[asyncio.Event] = deque()
        self.tasks: list[asyncio.Task[None]] = []

    async def _visit(self, number: int) -> None:
        leave = asyncio.Event()
        async with self.line:
            self.let_in.append(number)
            self.inside.append(leave)
            await leave.wait()

    def come(self) -> None:
        self.tasks.append(asyncio.create_task(self._visit(len(self.tasks))))

    def leave(self) -> None:
        if self.inside:
            self.inside.popleft().set()


async def test_a_cancellation_at_the_moment_of_being_let_in() -> None:
    """The place goes to the next one, it is not lost."""
    queue = Queue(1)
    for _ in range(3):
        queue.come()
    await steps()
    queue.leave()
    await asyncio.sleep(0)  # the first has left, the second was let in and does not know it yet
    queue.tasks[1].cancel()
    await steps()
    assert queue.let_in == [0, 2]
    queue.leave()
    await steps()
    assert queue.line.idle


async def test_a_line_that_is_widened_lets_in_who_waits() -> None:
    queue = Queue(1)
    for _ in range(4):
        queue.come()
    await steps()
    queue.line.resize(3)
    await steps()
    assert (queue.let_in, queue.line.waiting) == ([0, 1, 2], 1)
    queue.line.resize(1)
    queue.leave()
    await steps()
    assert queue.let_in == [0, 1, 2]
    for _ in range(3):
        queue.leave()
        await steps()
    assert queue.let_in == [0, 1, 2, 3]


@given(
    st.integers(1, 3), st.lists(st.one_of(st.sampled_from(["come", "leave", "step"]), st.integers(0, 12)), max_size=40)
)
def test_whatever_happens_order_and_count_are_kept(count: int, moves: list[str | int]) -> None:
    """A number cancels that visitor, wherever it is just then."""

    async def course() -> None:
        queue = Queue(count)
        for move in moves:
            if isinstance(move, int):
                for task in queue.tasks[move : move + 1]:
                    task.cancel()
            elif move == "step":
                await asyncio.sleep(0)
            else:
                getattr(queue, move)()
            assert queue.line._under_way <= count
        await steps()
        assert queue.let_in == sorted(queue.let_in)
        while queue.inside:
            queue.leave()
            await steps()
        await asyncio.gather(*queue.tasks, return_exceptions=True)
        assert queue.line.idle
        assert sorted(queue.let_in) == sorted(set(queue.let_in))

    asyncio.run(course())


async def test_who_gives_up_while_the_one_before_leaves() -> None:
    """In the same step: the conversation is forgotten once, and a new one can begin."""
    desk, leave, talk = Desk(), asyncio.Event(), ("alice", "c1")

    async def speak() -> None:
        async with desk.alone(talk):
            await leave.wait()

    first, second = asyncio.create_task(speak()), asyncio.create_task(speak())
    await steps()
    leave.set()  # the first goes on with the next step, and then the second
    second.cancel()
    await asyncio.wait((first, second))
    assert (first.exception(), second.cancelled(), desk.talks) == (None, True, 0)
    third, fourth = asyncio.create_task(speak()), asyncio.create_task(speak())
    fourth.cancel()
    await asyncio.wait((third, fourth))
    assert (third.exception(), desk.talks) == (None, 0)


async def test_a_desk_goes_with_the_last_who_holds_it() -> None:
    """A million bots that were spoken with once leave nothing."""
    desks = Desks()
    desk = desks.of("support")
    assert desks.of("support") is desk
    del desk
    assert len(desks._desks) == 0
