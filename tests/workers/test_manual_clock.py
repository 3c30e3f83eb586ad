"""The clock tests hold in hand."""

from __future__ import annotations

import anyio
import pytest

from workers.clock import ManualClock

pytestmark = pytest.mark.anyio


async def test_what_is_due_happens_in_order(clock: ManualClock) -> None:
    """A chain of sleeps and deadlines unfolds inside one advance, each at its moment."""
    seen: list[tuple[str, float]] = []

    async def chain() -> None:
        await clock.sleep(1)
        seen.append(("one", clock.monotonic()))
        with clock.deadline(2) as scope:
            await anyio.sleep_forever()
        seen.append(("cut" if scope.cancelled_caught else "not cut", clock.monotonic()))
        await clock.sleep(3)
        seen.append(("end", clock.monotonic()))

    async with anyio.create_task_group() as group:
        group.start_soon(chain)
        await clock.advance(10)
    assert seen == [("one", 1), ("cut", 3), ("end", 6)]
    assert clock.monotonic() == 10


async def test_a_deadline_that_was_left_leaves_nothing(clock: ManualClock) -> None:
    """Thousands of deadlines left in time do not pile up, and cancel nobody later."""
    for _ in range(5000):
        with clock.deadline(1000):
            pass
    assert clock.waiting == 0
    assert len(clock._due) <= 1
    await clock.advance(2000)


async def test_a_cancelled_sleep_leaves_nothing(clock: ManualClock) -> None:
    """Cancelled sleepers are forgotten; those that still wait are woken at their moment."""
    woken: list[int] = []

    async def sleeper(number: int) -> None:
        await clock.sleep(number)
        woken.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper, 5)
        async with anyio.create_task_group() as brief:
            for number in range(10, 110):
                brief.start_soon(sleeper, number)
            await clock.advance(0)
            assert clock.waiting == 101
            brief.cancel_scope.cancel()
        assert clock.waiting == 1
        await clock.advance(200)
    assert woken == [5]
