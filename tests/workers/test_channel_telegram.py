"""What the Telegram channel does when nothing is wrong, and its second tries."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from aiohttp import web

from config.schema import BotConfig, TelegramSection
from config.vocabulary import Secret
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.workers.telegram_rig import TOKEN, canned_channel, telegram_channel, telegram_config, text_to
from workers.channels import CHANNELS, open_channel
from workers.channels.base import Identity, Lane, Outgoing
from workers.channels.telegram import TelegramChannel
from workers.clock import ManualClock
from workers.errors import BotInvalid, SendRefused
from workers.http import Http

pytestmark = pytest.mark.anyio
Rig = tuple[TelegramChannel, SandboxBot, Sandbox]


@pytest.fixture
async def rig(clock: ManualClock) -> AsyncIterator[Rig]:
    async with telegram_channel(clock) as rig:
        yield rig


async def test_identity_comes_from_getme(rig: Rig) -> None:
    """Id, username and name as the server says."""
    channel, bot, _ = rig
    assert await channel.identify() == Identity(bot.id, bot.username, bot.name)


async def test_polls_ask_for_the_kinds_of_features_to_come(rig: Rig) -> None:
    """Edits and button presses are delivered already, so that switching a feature on later loses none."""
    channel, bot, _ = rig
    assert await channel.forget_pending() is None
    bot.say(1, "hello")
    bot.edit(1, 1, "hello!")
    bot.press(1, 1, "yes")
    updates = await channel.poll(None)
    assert [sorted(update)[0] for update in updates] == ["message", "edited_message", "callback_query"]
    assert [channel.lane_of(update) for update in updates] == [Lane(1)] * 3
    read = [channel.read(update) for update in updates]
    assert [incoming.kind for incoming in read if incoming] == ["message", "edited", "callback"]


async def test_answers_go_into_the_topic_they_were_asked_in(rig: Rig) -> None:
    """Lane with a topic: message_thread_id is sent."""
    channel, bot, _ = rig
    bot.say(-100, "hello", topic_id=7)
    (part,) = channel.render(channel.lane_of((await channel.poll(None))[0]), "hi")
    await channel.send(part)
    assert [(sent.chat_id, sent.topic_id, sent.text) for sent in bot.sent] == [(-100, 7, "hi")]


async def test_a_group_that_became_a_supergroup_gets_its_answers(caplog: pytest.LogCaptureFixture) -> None:
    """The refusal names the new chat; the answer goes there, and the next one without asking again."""
    asked: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        chat_id = (await request.json())["chat_id"]
        asked.append(chat_id)
        if chat_id == -1005:
            return web.json_response({"ok": True, "result": {"message_id": len(asked)}})
        return web.json_response(
            {
                "ok": False,
                "error_code": 400,
                "description": "Bad Request: group chat was upgraded to a supergroup chat",
                "parameters": {"migrate_to_chat_id": -1005},
            },
            status=400,
        )

    async with canned_channel(answer) as channel:
        assert await channel.send(text_to(-5, "first")) == 2
        assert await channel.send(text_to(-5, "second")) == 3
    assert asked == [-5, -1005, -1005]
    assert "supergroup" in caplog.text


async def test_markup_the_server_cannot_read_is_left_out(rig: Rig) -> None:
    """An answer without bold letters beats no answer; other refusals are not tried again."""
    channel, bot, _ = rig
    params = {"chat_id": 1, "text": "*half bold", "parse_mode": "MarkdownV2"}
    bot.faults.fail("sendMessage", "bad_request", description="Bad Request: can't parse entities: no end")
    await channel.send(Outgoing(1, "sendMessage", params))
    assert [(sent.text, "parse_mode" in sent.params) for sent in bot.sent] == [("*half bold", False)]
    bot.faults.fail("sendMessage", "bad_request", description="Bad Request: can't parse entities: no end", times=None)
    with pytest.raises(SendRefused):
        await channel.send(Outgoing(1, "sendMessage", params))
    assert bot.calls["sendMessage"] == 4


async def test_other_methods_go_the_same_way(rig: Rig) -> None:
    """The outbox may hold any method; its result need not be a message."""
    channel, bot, _ = rig
    assert await channel.send(Outgoing(1, "sendChatAction", {"chat_id": 1, "action": "typing"})) is None
    assert bot.actions == [(1, "typing")]
    with pytest.raises(SendRefused):
        await channel.send(Outgoing(1, "sendNoSuchThing", {"chat_id": 1}))


async def test_apply_takes_the_long_poll_time_and_nothing_else(rig: Rig, clock: ManualClock) -> None:
    """A new token waits for its drained restart; the poll time counts at the next poll."""
    channel, bot, sandbox = rig
    channel.apply(telegram_config("999999:" + "B" * 35, sandbox.base_url, poll_timeout_s=2))
    async with anyio.create_task_group() as group:
        group.start_soon(channel.poll, None)
        await bot.listening()
        await clock.advance(2)
    assert (await channel.identify()).id == bot.id


async def test_python_telegram_bots_own_methods_work_over_the_shared_session(rig: Rig) -> None:
    """Upload and download through Bot, for features that are not hot."""
    channel, bot, sandbox = rig
    sent = await channel.bot.send_document(1, b"some bytes", filename="a.txt", caption="look")
    assert (sent.caption, bot.sent[-1].method) == ("look", "sendDocument")
    file_id = bot.add_file(b"x" * 300_000)
    url = f"{sandbox.base_file_url}{TOKEN}/documents/{file_id}"
    assert await channel._request.retrieve(url) == b"x" * 300_000


async def test_the_registry_opens_what_a_bots_file_asks_for(rig: Rig) -> None:
    """channel = "telegram" and "none" are known; a channel without its needs is invalid, and says so."""
    http, clock = Http(), ManualClock()
    assert set(CHANNELS) == {"telegram", "none"}
    channel = open_channel("a", telegram_config(TOKEN, "http://127.0.0.1:1/bot"), http, clock)
    assert type(channel).__name__ == "TelegramChannel"
    assert (await open_channel("a", BotConfig(channel="none"), http, clock).identify()).id == 0
    with pytest.raises(BotInvalid):
        open_channel("a", BotConfig(), http, clock)
    with pytest.raises(BotInvalid, match="no channel"):
        open_channel("a", BotConfig.model_construct(channel="pigeon"), http, clock)
    assert TelegramSection(token=Secret(TOKEN)).base_url.startswith("https://")
