"""The switches of the loopback channel, on which other tests stand."""

from __future__ import annotations

import anyio
import pytest

from config.schema import BotConfig, TelegramSection
from tests.waiting import eventually
from tests.workers.telegram_rig import text_to
from workers.channels.base import Identity, Lane
from workers.channels.loopback import KEPT, LoopbackChannel
from workers.clock import ManualClock
from workers.errors import ChannelUnreachable, RateLimited, SendUncertain, TokenRejected

pytestmark = pytest.mark.anyio


async def test_calls_fail_as_often_as_asked_and_then_work() -> None:
    """fail counts down; None lasts until mend."""
    channel = LoopbackChannel(identity=Identity(7, "x"))
    channel.fail("identify", TokenRejected("no"))
    with pytest.raises(TokenRejected):
        await channel.identify()
    assert (await channel.identify()).id == 7
    channel.fail("poll", ChannelUnreachable("gone"), times=None)
    for _ in range(3):
        with pytest.raises(ChannelUnreachable):
            await channel.poll(None)
    channel.mend()
    channel.say("hi")
    assert len(await channel.poll(None)) == 1


async def test_a_lost_reply_is_a_send_that_was_done() -> None:
    """done=True delivers and fails; without it nothing is delivered."""
    channel = LoopbackChannel()
    channel.fail("send", SendUncertain("who knows"), done=True)
    with pytest.raises(SendUncertain):
        await channel.send(text_to(1, "a"))
    channel.fail("send", SendUncertain("who knows"))
    with pytest.raises(SendUncertain):
        await channel.send(text_to(1, "b"))
    await channel.send(text_to(1, "c"))
    assert channel.sent_to(1) == ["a", "c"]


async def test_held_sends_wait_and_are_delivered_when_let_go_unless_cancelled() -> None:
    """hold stops calls at an exact point."""
    channel = LoopbackChannel()
    async with anyio.create_task_group() as group:
        with channel.hold("send"):
            group.start_soon(channel.send, text_to(1, "kept"))
            async with anyio.create_task_group() as doomed:
                doomed.start_soon(channel.send, text_to(1, "cut off"))
                await eventually(lambda: channel.held("send") == 2)
                doomed.cancel_scope.cancel()
            assert (channel.held("send"), channel.sent) == (1, [])
    assert channel.sent_to(1) == ["kept"]


async def test_idle_polls_end_by_the_clock_in_hand(clock: ManualClock) -> None:
    """The long-poll time is the configured one."""
    channel = LoopbackChannel(BotConfig(channel="none", telegram=TelegramSection(poll_timeout_s=4)), None, clock)
    async with anyio.create_task_group() as group:
        group.start_soon(channel.poll, None)
        await clock.advance(3.9)
        assert channel.polling
        await clock.advance(0.1)
        await eventually(lambda: not channel.polling)


async def test_old_offsets_do_not_hide_updates_after_a_jump() -> None:
    """Ids may go down; an offset from before forgets nothing then."""
    channel = LoopbackChannel()
    channel.jump_ids(1000)
    channel.say("before")
    assert await channel.forget_pending() == 1002
    channel.jump_ids(-900)
    said = channel.say("after")
    assert [update["update_id"] for update in await channel.poll(1002)] == [said]


async def test_it_is_bounded() -> None:
    """Neither what waits nor what was sent grows without end."""
    channel = LoopbackChannel()
    for _ in range(KEPT):
        channel.say("hi")
    with pytest.raises(RateLimited):
        channel.say("one too many")
    for _ in range(KEPT + 1):
        await channel.send(text_to(1))
        channel.show_typing(Lane(1))
    assert len(channel.sent) <= KEPT
    assert len(channel.typing) <= KEPT
