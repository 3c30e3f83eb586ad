"""What a chat sees while it waits for an answer: "typing…" where nothing else moves, and no more requests than that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from workers.channels.base import Lane
from workers.channels.loopback import LoopbackChannel
from workers.clock import ManualClock
from workers.errors import ChannelUnreachable
from workers.preview import Preview
from workers.typist import TYPING_EVERY_S, TYPING_TICK_S, Typist

pytestmark = pytest.mark.anyio

CHAT = Lane(5)


class Unwritten:
    """Nobody writes down what becomes of the message."""

    async def leaving(self) -> None: ...

    async def stayed(self) -> None: ...

    async def arrived(self, message_id: int) -> None: ...

    async def doubtful(self) -> None: ...


@asynccontextmanager
async def waiting(clock: ManualClock, channel: LoopbackChannel, preview: Preview | None = None) -> AsyncIterator[None]:
    """Have a chat wait for an answer for the length of the block."""
    async with anyio.create_task_group() as group:
        typist = Typist(group, channel, clock, "support")
        typist.begin(1, CHAT, "", preview)
        yield
        typist.end(1)
        group.cancel_scope.cancel()


def shown_in(channel: LoopbackChannel) -> Preview:
    return Preview(channel, CHAT, 1, "edit", Unwritten(), private=True)


async def test_an_answer_that_is_not_shown_is_typed_for_as_long_as_it_takes(clock: ManualClock) -> None:
    """Not at once, then as often as it has to be for it to stay."""
    channel = LoopbackChannel()
    async with waiting(clock, channel):
        await clock.advance(TYPING_TICK_S - 0.1)
        assert not channel.typing
        await clock.advance(0.1)
        assert list(channel.typing) == [CHAT]
        await clock.advance(2 * TYPING_EVERY_S)
        assert len(channel.typing) == 3


async def test_an_answer_that_is_seen_growing_needs_no_typing(clock: ManualClock) -> None:
    """Each frame is a sign of life; when no more come, as while a tool works, "typing…" is the next one."""
    channel = LoopbackChannel()
    preview = shown_in(channel)
    async with waiting(clock, channel, preview):
        for _ in range(12):
            preview.piece("word ")
            await clock.advance(1.0)
        assert len(channel.frames) == 12
        assert not channel.typing
        await clock.advance(TYPING_EVERY_S - 1.0)
        assert not channel.typing
        await clock.advance(TYPING_TICK_S)
        assert list(channel.typing) == [CHAT]


async def test_frames_that_do_not_arrive_are_no_sign_of_life(clock: ManualClock) -> None:
    """The chat sees nothing of them."""
    channel = LoopbackChannel()
    preview = shown_in(channel)
    channel.fail("show", ChannelUnreachable("no way there"), times=None)
    async with waiting(clock, channel, preview):
        for _ in range(6):
            preview.piece("word ")
            await clock.advance(1.0)
    assert not channel.frames
    assert len(channel.typing) == 2


async def test_a_model_that_has_not_begun_is_typed(clock: ManualClock) -> None:
    """An answer that is to be shown, of which there is nothing yet."""
    channel = LoopbackChannel()
    async with waiting(clock, channel, shown_in(channel)):
        await clock.advance(TYPING_TICK_S)
        assert list(channel.typing) == [CHAT]
