"""What every channel promises, tried on each: Telegram on our double, Telegram on a double nobody here wrote, loopback.

Where `lo-bot-api-emulator` differs from the real server the rig says so, and the server decides:
- it ends the *second* of two polls with 409, the server the first;
- it knows no topics (message_thread_id is refused) and keeps no texts, so these are not looked at there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from aiohttp import web
from lo_bot_api_emulator import LoBotApiEmulator

from config.schema import BotConfig, TelegramSection
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from tests.workers.telegram_rig import telegram_config
from workers.channels.base import Channel, Identity, Lane
from workers.channels.loopback import LoopbackChannel
from workers.channels.telegram import TelegramChannel
from workers.clock import SystemClock
from workers.errors import TokenInUse
from workers.http import Http

pytestmark = pytest.mark.anyio


@dataclass
class Rig:
    """A channel, the person at its other end, and what differs between servers."""

    channel: Channel
    say: Callable[..., Awaitable[int]]
    polled: Callable[[], bool]
    sent_to: Callable[[int], list[str]] | None = None
    topics: bool = True
    first_poll_ends: bool = True


@asynccontextmanager
async def sandbox_rig() -> AsyncIterator[Rig]:
    http = Http()
    async with Sandbox() as sandbox:
        bot = sandbox.add_bot()
        channel = TelegramChannel(telegram_config(bot.token, sandbox.base_url), http, SystemClock())

        async def say(text: str, chat_id: int = 1, topic_id: int = 0) -> int:
            return bot.say(chat_id, text, topic_id=topic_id or None)

        yield Rig(channel, say, lambda: bot.polled, lambda chat_id: [sent.text for sent in bot.sent_to(chat_id)])
        await channel.close()
        await http.close()


@asynccontextmanager
async def emulator_rig() -> AsyncIterator[Rig]:
    http, emulator, token = Http(), LoBotApiEmulator(), "100001:" + "A" * 35
    runner = web.AppRunner(emulator.app(), access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
    channel = TelegramChannel(telegram_config(token, base_url), http, SystemClock())

    async def say(text: str, chat_id: int = 1, topic_id: int = 0) -> int:
        message = {"message_id": 1, "date": 1, "chat": {"id": chat_id, "type": "private"}, "text": text}
        return await emulator.enqueue_update({"message": message}, token=token)

    def polled() -> bool:
        return emulator._update_queues._state(token).polling

    yield Rig(channel, say, polled, topics=False, first_poll_ends=False)
    await channel.close()
    await http.close()
    await runner.cleanup()


@asynccontextmanager
async def loopback_rig() -> AsyncIterator[Rig]:
    channel = LoopbackChannel()

    async def say(text: str, chat_id: int = 1, topic_id: int = 0) -> int:
        return channel.say(text, chat_id, topic_id=topic_id)

    yield Rig(channel, say, lambda: channel.polling, channel.sent_to)
    await channel.close()


RIGS = {
    "telegram on our double": sandbox_rig,
    "telegram on lo-bot-api-emulator": emulator_rig,
    "loopback": loopback_rig,
}


@pytest.fixture(params=list(RIGS))
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with RIGS[request.param]() as rig:
        yield rig


def ids(updates: list[dict[str, Any]]) -> list[int]:
    return [update["update_id"] for update in updates]


async def test_it_says_who_we_are(rig: Rig) -> None:
    """identify gives an id that can be pinned."""
    identity = await rig.channel.identify()
    assert isinstance(identity, Identity)
    assert type(identity.id) is int


async def test_updates_come_again_until_a_higher_offset_forgets_them(rig: Rig) -> None:
    """A poll without acknowledgement loses nothing; the offset is the acknowledgement."""
    first, second = await rig.say("one"), await rig.say("two")
    assert ids(await rig.channel.poll(None)) == [first, second]
    assert ids(await rig.channel.poll(None)) == [first, second]
    assert ids(await rig.channel.poll(second)) == [second]
    third = await rig.say("three")
    assert ids(await rig.channel.poll(second + 1)) == [third]


async def test_a_batch_holds_at_most_a_hundred_in_order(rig: Rig) -> None:
    """A backlog comes in pieces, oldest first."""
    said = [await rig.say(str(n)) for n in range(130)]
    first = ids(await rig.channel.poll(None))
    assert first + ids(await rig.channel.poll(first[-1] + 1)) == said
    assert len(first) == 100


async def test_a_waiting_poll_wakes_when_somebody_writes(rig: Rig) -> None:
    """The long poll ends with the message, not with its time."""
    got: list[int] = []
    async with anyio.create_task_group() as group:

        async def poll() -> None:
            got.extend(ids(await rig.channel.poll(None)))

        group.start_soon(poll)
        await eventually(rig.polled)
        said = await rig.say("hello")
    assert got == [said]


async def test_an_idle_poll_ends_empty(rig: Rig) -> None:
    """When its time is over a poll gives nothing; the time is taken over in place."""
    rig.channel.apply(BotConfig(telegram=TelegramSection(poll_timeout_s=0)))
    assert await rig.channel.poll(None) == []


async def test_a_brief_poll_waits_for_nothing(rig: Rig) -> None:
    """It acknowledges and takes what is there, and ends at once when nothing is."""
    assert await rig.channel.poll(None, brief=True) == []
    said = await rig.say("hello")
    assert ids(await rig.channel.poll(None, brief=True)) == [said]
    assert await rig.channel.poll(said + 1, brief=True) == []


async def test_a_cancelled_poll_loses_nothing(rig: Rig) -> None:
    """Abandoning a poll in flight, as drain does, leaves its updates at the server."""
    async with anyio.create_task_group() as group:
        group.start_soon(rig.channel.poll, None)
        await eventually(rig.polled)
        group.cancel_scope.cancel()
    said = await rig.say("still here")
    await eventually(lambda: not rig.polled())
    assert ids(await rig.channel.poll(None)) == [said]


async def test_of_two_polls_one_ends_with_token_in_use(rig: Rig) -> None:
    """Two programs with one token: the server ends one of them and the channel says so."""
    ended: list[str] = []

    async def poll(name: str) -> None:
        try:
            await rig.channel.poll(None)
        except TokenInUse:
            ended.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(poll, "first")
        await eventually(rig.polled)
        group.start_soon(poll, "second")
        await eventually(lambda: ended)
        group.cancel_scope.cancel()
    assert ended == (["first"] if rig.first_poll_ends else ["second"])


async def test_pending_updates_can_be_forgotten(rig: Rig) -> None:
    """After forget_pending only what comes from now on is given; with nothing waiting it is harmless."""
    assert await rig.channel.forget_pending() is None
    last = [await rig.say(str(n)) for n in range(5)][-1]
    offset = await rig.channel.forget_pending()
    assert offset == last + 1
    fresh = await rig.say("fresh")
    assert ids(await rig.channel.poll(offset)) == [fresh]


async def test_what_is_said_is_understood_and_lies_in_its_lane(rig: Rig) -> None:
    """lane_of and read agree on chat and topic."""
    said = await rig.say("hello 😀", chat_id=-100123, topic_id=9 if rig.topics else 0)
    (update,) = await rig.channel.poll(None)
    incoming = rig.channel.read(update)
    assert incoming is not None
    lane = Lane(-100123, 9 if rig.topics else 0)
    assert (incoming.update_id, incoming.text, incoming.lane, rig.channel.lane_of(update)) == (
        said,
        "hello 😀",
        lane,
        lane,
    )


@pytest.mark.parametrize("text", ["hello", "", "word " * 3000, "😀" * 5000, "\ud800 \0 tail", "a\n\n" + "b" * 5000])
async def test_every_answer_is_rendered_and_taken(rig: Rig, text: str) -> None:
    """Whatever the answer, its parts are accepted in order and get rising message ids."""
    parts = rig.channel.render(Lane(5), text)
    message_ids = [await rig.channel.send(part) for part in parts]
    assert parts
    assert all(isinstance(message_id, int) for message_id in message_ids)
    assert message_ids == sorted(set(message_ids))
    if rig.sent_to is not None:
        assert rig.sent_to(5) == [part.params["text"] for part in parts]


async def test_typing_is_shown_without_waiting_and_ends_with_close(rig: Rig) -> None:
    """show_typing never waits nor raises, a storm of it is bounded, and close leaves no task behind."""
    for number in range(1000):
        rig.channel.show_typing(Lane(number + 1))
    await rig.channel.close()
    await rig.channel.close()
    assert rig.channel.throttled_s() == 0
    assert [task for task in asyncio.all_tasks() if task.get_name() == "typing"] == []
