"""Deadlines after a 429."""

from __future__ import annotations

import anyio
import pytest

from workers.clock import ManualClock
from workers.limits import MAX_CHATS, Deadlines

pytestmark = pytest.mark.anyio


async def test_a_429_in_one_chat_blocks_that_chat_only(clock: ManualClock) -> None:
    """The other chats and the polls go on."""
    deadlines = Deadlines(clock)
    deadlines.block_chat(1, 3)
    assert (deadlines.chat_left_s(1), deadlines.chat_left_s(2), deadlines.bot_left_s(), deadlines.poll_left_s()) == (
        3,
        0,
        0,
        0,
    )


async def test_a_second_chat_within_the_window_blocks_the_bot(clock: ManualClock) -> None:
    """Two chats refused at once mean the bot's own limit; polls are not meant."""
    deadlines = Deadlines(clock)
    deadlines.block_chat(1, 3)
    await clock.advance(1)
    deadlines.block_chat(2, 5)
    assert (deadlines.chat_left_s(3), deadlines.bot_left_s(), deadlines.poll_left_s()) == (5, 5, 0)


async def test_the_same_chat_twice_or_after_the_window_blocks_no_other(clock: ManualClock) -> None:
    """One slow chat, or two at different times, are no sign of the bot's limit."""
    deadlines = Deadlines(clock)
    deadlines.block_chat(1, 3)
    deadlines.block_chat(1, 4)
    await clock.advance(4)
    deadlines.block_chat(2, 5)
    assert (deadlines.chat_left_s(1), deadlines.chat_left_s(3)) == (0, 0)


async def test_a_shorter_demand_never_shortens_a_longer_one(clock: ManualClock) -> None:
    """Deadlines only move away."""
    deadlines = Deadlines(clock)
    deadlines.block_chat(1, 9)
    deadlines.block_chat(1, 1)
    deadlines.block_bot(5)
    deadlines.block_bot(2)
    assert (deadlines.chat_left_s(1), deadlines.bot_left_s(), deadlines.poll_left_s()) == (9, 5, 5)


async def test_a_waiting_send_waits_for_a_deadline_that_moved_away_meanwhile(clock: ManualClock) -> None:
    """Who began to wait for 3 s and is told 10 in between leaves after 10."""
    deadlines, left = Deadlines(clock), []
    deadlines.block_chat(1, 3)

    async def send() -> None:
        await deadlines.wait_to_send(1)
        left.append(clock.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        await clock.advance(2)
        deadlines.block_chat(1, 8)
        await clock.advance(7.9)
        assert left == []
        await clock.advance(0.1)
    assert left == [10]


async def test_memory_is_bounded_and_overflow_never_frees_early(clock: ManualClock) -> None:
    """Beyond the number of chats remembered the bot as a whole waits, at least as long as any forgotten chat."""
    deadlines = Deadlines(clock)
    for chat in range(2 * MAX_CHATS):
        deadlines.block_chat(chat, 100 + chat)
    assert len(deadlines._chats) <= MAX_CHATS
    assert all(deadlines.chat_left_s(chat) >= 100 + chat for chat in range(2 * MAX_CHATS))
    await clock.advance(1000)
    deadlines.block_chat(1, 1)
    assert len(deadlines._chats) == 1
