"""Everything that can go wrong at the Bot API, provoked through the double, and what the channel makes of it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from config.schema import BotConfig, TelegramSection
from config.vocabulary import Secret
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from tests.workers.telegram_rig import TOKEN, assert_no_token, telegram_channel, text_to
from workers.channels.base import Lane
from workers.channels.telegram import POLL_SLACK_S, SEND_TIMEOUT_S, TelegramChannel
from workers.clock import ManualClock
from workers.errors import (
    BotInvalid,
    ChannelError,
    ChannelUnreachable,
    RateLimited,
    SendRefused,
    SendUncertain,
    TokenInUse,
    TokenRejected,
)
from workers.http import Http

pytestmark = pytest.mark.anyio
Rig = tuple[TelegramChannel, SandboxBot, Sandbox]


@pytest.fixture
async def rig(clock: ManualClock) -> AsyncIterator[Rig]:
    async with telegram_channel(clock) as rig:
        yield rig


async def failing_poll(channel: TelegramChannel, kind: type[ChannelError]) -> ChannelError:
    with pytest.raises(kind) as caught:
        await channel.poll(None)
    assert_no_token(caught.value)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    return caught.value


async def failing_send(channel: TelegramChannel, kind: type[ChannelError], chat_id: int = 1) -> ChannelError:
    with pytest.raises(kind) as caught:
        await channel.send(text_to(chat_id))
    assert_no_token(caught.value)
    return caught.value


READS = [
    ("server_error", {"status": 500}),
    ("server_error", {"status": 502, "html": True}),
    ("garbage", {"form": "text"}),
    ("garbage", {"form": "truncated"}),
    ("garbage", {"form": "html"}),
    ("garbage", {"form": "empty"}),
    ("garbage", {"form": "cut"}),
    ("reset", {}),
    ("close", {}),
    ("lost_reply", {}),
    ("forbidden", {}),
    ("bad_request", {}),
]


@pytest.mark.parametrize(("kind", "options"), READS)
async def test_a_poll_that_fails_for_any_passing_reason_is_unreachable(
    rig: Rig, kind: str, options: dict[str, Any]
) -> None:
    """5xx, garbage, resets: reconnect in place; the update is still there afterwards."""
    channel, bot, _ = rig
    said = bot.say(1, "kept")
    bot.faults.fail("getUpdates", kind, **options)
    error = await failing_poll(channel, ChannelUnreachable)
    assert "Telegram" in error.message
    assert [update["update_id"] for update in await channel.poll(None)] == [said]


SENDS = [
    ("server_error", {"status": 500}, SendUncertain, False),
    ("server_error", {"status": 502, "html": True}, SendUncertain, False),
    ("server_error", {"status": 504}, SendUncertain, False),
    ("garbage", {"form": "html"}, SendUncertain, False),
    ("garbage", {"form": "cut"}, SendUncertain, False),
    ("reset", {}, SendUncertain, False),
    ("close", {}, SendUncertain, False),
    ("lost_reply", {}, SendUncertain, True),
    ("lost_reply", {"reset": True}, SendUncertain, True),
    ("forbidden", {}, SendRefused, False),
    ("bad_request", {}, SendRefused, False),
    ("conflict", {}, ChannelUnreachable, False),
    ("unauthorized", {}, ChannelUnreachable, False),
    ("not_found", {}, SendRefused, False),
]


@pytest.mark.parametrize(("kind", "options", "error", "done"), SENDS)
async def test_a_failed_send_says_honestly_whether_it_may_have_been_done(
    rig: Rig, kind: str, options: dict[str, Any], error: type[ChannelError], done: bool
) -> None:
    """Refused is refused, unclear is uncertain, and a glitch that getMe contradicts is no reason to stop the bot."""
    channel, bot, _ = rig
    bot.faults.fail("sendMessage", kind, **options)
    await failing_send(channel, error)
    assert len(bot.sent) == done
    assert await channel.send(text_to(1)) is not None


async def test_a_connection_that_never_came_about_is_safe_to_try_again(rig: Rig) -> None:
    """With nobody listening a send is unreachable, not uncertain."""
    channel, _, sandbox = rig
    await sandbox.stop()
    error = await failing_send(channel, ChannelUnreachable)
    assert "no connection" in error.message
    await failing_poll(channel, ChannelUnreachable)
    with pytest.raises(ChannelUnreachable):
        await channel.identify()
    await sandbox.start()
    assert await channel.send(text_to(1)) is not None


@pytest.mark.parametrize("kind", ["unauthorized", "not_found"])
async def test_a_rejected_token_is_confirmed_by_one_getme(rig: Rig, kind: str) -> None:
    """401 and 404 from getUpdates and getMe alike: the token is rejected, finally."""
    channel, bot, _ = rig
    bot.faults.fail("*", kind, times=None)
    error = await failing_poll(channel, TokenRejected)
    assert "token" in error.message
    assert bot.calls["getMe"] == 1
    await failing_send(channel, TokenRejected)
    with pytest.raises(TokenRejected) as caught:
        await channel.identify()
    assert_no_token(caught.value)


@pytest.mark.parametrize("kind", ["unauthorized", "not_found"])
async def test_a_token_getme_knows_is_not_rejected(rig: Rig, kind: str) -> None:
    """A gateway's stray 401 or 404 must not kill a good bot."""
    channel, bot, _ = rig
    bot.faults.fail("getUpdates", kind)
    error = await failing_poll(channel, ChannelUnreachable)
    assert "getMe knows it" in error.message
    assert await channel.forget_pending() is None


async def test_a_rejection_that_cannot_be_confirmed_is_not_final(rig: Rig) -> None:
    """401 and then no answer to getMe: unreachable, it is asked again later."""
    channel, bot, _ = rig
    bot.faults.fail("getUpdates", "unauthorized")
    bot.faults.fail("getMe", "server_error")
    await failing_poll(channel, ChannelUnreachable)


async def test_409_tells_another_poller_from_a_webhook(rig: Rig) -> None:
    """Both texts of the server become TokenInUse, each with its own advice."""
    channel, bot, _ = rig
    bot.faults.fail("getUpdates", "conflict")
    assert "another program polls" in (await failing_poll(channel, TokenInUse)).message
    await channel.bot.set_webhook("https://example.org/hook")
    assert "a webhook is set" in (await failing_poll(channel, TokenInUse)).message


async def test_a_429_to_a_poll_makes_polls_and_sends_wait(rig: Rig, clock: ManualClock) -> None:
    """The bot as a whole keeps quiet for as long as asked, and no longer."""
    channel, bot, _ = rig
    bot.faults.fail("getUpdates", "flood", retry_after=7)
    error = await failing_poll(channel, RateLimited)
    assert isinstance(error, RateLimited)
    assert (error.retry_after_s, channel.throttled_s()) == (7, 7)
    bot.say(1, "hello")
    async with anyio.create_task_group() as group:
        group.start_soon(channel.poll, None)
        group.start_soon(channel.send, text_to(1))
        await clock.advance(6.9)
        assert (bot.calls["getUpdates"], bot.calls["sendMessage"]) == (1, 0)
        await clock.advance(0.1)
    assert (bot.calls["getUpdates"], bot.calls["sendMessage"]) == (2, 1)


async def test_a_429_to_getme_makes_identify_wait(rig: Rig, clock: ManualClock) -> None:
    """A cold start that is too fast is told so, and the next try does not come early."""
    channel, bot, _ = rig
    bot.faults.fail("getMe", "flood", retry_after=3)
    with pytest.raises(RateLimited):
        await channel.identify()
    async with anyio.create_task_group() as group:
        group.start_soon(channel.identify)
        await clock.advance(2.9)
        assert bot.calls["getMe"] == 1
        await clock.advance(0.1)
    assert bot.calls["getMe"] == 2


async def test_a_429_in_one_chat_delays_no_other(rig: Rig, clock: ManualClock) -> None:
    """The blocked chat waits its time out although another send of the bot succeeds meanwhile; polls go on."""
    channel, bot, _ = rig
    bot.say(3, "hello")
    bot.faults.fail("sendMessage", "flood", chat_id=1, retry_after=3)
    await failing_send(channel, RateLimited)
    async with anyio.create_task_group() as group:
        group.start_soon(channel.send, text_to(1))
        assert await channel.send(text_to(2)) is not None
        assert await channel.poll(None)
        await clock.advance(2.9)
        assert bot.sent_to(1) == []
        await clock.advance(0.1)
    assert len(bot.sent_to(1)) == 1


async def test_429s_in_two_chats_block_the_bot(rig: Rig, clock: ManualClock) -> None:
    """Two chats refused within one window: a third one is not even tried."""
    channel, bot, _ = rig
    for chat_id in (1, 2):
        bot.faults.fail("sendMessage", "flood", chat_id=chat_id, retry_after=3)
        await failing_send(channel, RateLimited, chat_id)
    async with anyio.create_task_group() as group:
        group.start_soon(channel.send, text_to(3))
        await clock.advance(2.9)
        assert bot.calls["sendMessage"] == 2
        await clock.advance(0.1)
    assert len(bot.sent_to(3)) == 1


async def test_a_silent_server_ends_the_poll_after_its_time_and_slack(rig: Rig, clock: ManualClock) -> None:
    """A hanging getUpdates is given up by the clock in hand, and the next poll works."""
    channel, bot, _ = rig
    bot.faults.fail("getUpdates", "hang")
    errors: list[ChannelError] = []

    async def poll() -> None:
        errors.append(await failing_poll(channel, ChannelUnreachable))

    async with anyio.create_task_group() as group:
        group.start_soon(poll)
        await bot.faults.reached("getUpdates")
        await clock.advance(30 + POLL_SLACK_S - 0.1)
        assert errors == []
        await clock.advance(0.1)
    assert "no answer within 40 s" in errors[0].message
    bot.say(1, "hello")
    assert len(await channel.poll(None)) == 1


async def test_a_send_nobody_answers_is_uncertain(rig: Rig, clock: ManualClock) -> None:
    """Done or not: after the limit the sender is told that nobody knows."""
    channel, bot, _ = rig
    bot.faults.fail("sendMessage", "hang", done=True)
    async with anyio.create_task_group() as group:
        group.start_soon(failing_send, channel, SendUncertain)
        await bot.faults.reached("sendMessage")
        await clock.advance(SEND_TIMEOUT_S)
    assert len(bot.sent) == 1


async def test_a_cancelled_send_leaves_the_channel_usable(rig: Rig) -> None:
    """Cancelling in flight closes that connection; the next send takes another."""
    channel, bot, _ = rig
    bot.faults.fail("sendMessage", "hang")
    async with anyio.create_task_group() as group:
        group.start_soon(channel.send, text_to(1))
        await bot.faults.reached("sendMessage")
        group.cancel_scope.cancel()
    assert await channel.send(text_to(1)) is not None


async def test_typing_never_disturbs(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A refused typing action is ignored; a 429 to it keeps its chat quiet; a blocked chat is not asked at all."""
    channel, bot, _ = rig
    bot.faults.fail("sendChatAction", "forbidden")
    bot.faults.fail("sendChatAction", "flood", chat_id=2, retry_after=5, times=None)
    for chat_id in (1, 2, 3):
        channel.show_typing(Lane(chat_id))
    await eventually(lambda: (3, "typing") in bot.actions)
    asked = bot.calls["sendChatAction"]
    channel.show_typing(Lane(2))
    channel.show_typing(Lane(4))
    await eventually(lambda: (4, "typing") in bot.actions)
    assert bot.calls["sendChatAction"] == asked + 1
    assert caplog.records == []


async def test_entries_without_a_usable_id_are_dropped_with_a_warning(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be journaled does not stop what can."""
    channel, bot, _ = rig
    bot.push({"update_id": "seven"})
    said = bot.say(1, "hello")
    assert [update["update_id"] for update in await channel.poll(None)] == [said]
    assert "dropped" in caplog.text


async def test_update_ids_may_jump_down(rig: Rig) -> None:
    """After a quiet week ids start anew; an old offset does not hide them."""
    channel, bot, _ = rig
    bot.jump_ids(500_000)
    last = bot.say(1, "before")
    await channel.poll(last + 1 - 1)
    await channel.forget_pending()
    bot.jump_ids(-400_000)
    said = bot.say(1, "after")
    assert [update["update_id"] for update in await channel.poll(last + 1)] == [said]


async def test_the_token_shows_in_no_log(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Even at DEBUG neither our lines nor python-telegram-bot's hold it."""
    caplog.set_level(logging.DEBUG)
    channel, bot, _ = rig
    for kind in ("garbage", "unauthorized", "reset"):
        bot.faults.fail("*", kind)
        with pytest.raises(ChannelError):
            await channel.identify()
    await channel.identify()
    assert TOKEN.partition(":")[2] not in caplog.text
    assert TOKEN not in repr(channel)


@pytest.mark.parametrize(
    ("token", "base_url"),
    [("", "http://127.0.0.1/bot"), (TOKEN, "ftp://x/bot"), (TOKEN, "nowhere"), (TOKEN, "http://[/bot")],
)
async def test_what_can_never_work_is_refused_at_once(token: str, base_url: str) -> None:
    """No token, no URL, past every check of the configuration: the bot is invalid before anything is sent."""
    section = TelegramSection.model_construct(token=Secret(token) if token else None, base_url=base_url)
    with pytest.raises(BotInvalid) as caught:
        TelegramChannel(BotConfig.model_construct(telegram=section), Http(), ManualClock())
    assert_no_token(caught.value)
