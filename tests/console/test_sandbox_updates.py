"""The double hands out updates as the real server does: acknowledgement, long poll, conflicts, jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
import telegram

from console.sandbox.server import Sandbox
from tests.waiting import eventually
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

Api = Callable[..., Any]


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock) as running:
        yield running


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[Api]:
    """Call a method of the first bot over HTTP; returns the whole answer."""
    sandbox.add_bot(name="Support")
    token = sandbox.bots[100_001].token
    async with aiohttp.ClientSession() as session:

        async def call(method: str, **params: Any) -> dict[str, Any]:
            async with session.post(f"{sandbox.base_url}{token}/{method}", json=params) as answer:
                body = await answer.json()
                assert body["ok"] == (answer.status == 200)
                return body

        yield call


def ids(answer: dict[str, Any]) -> list[int]:
    return [update["update_id"] for update in answer["result"]]


async def test_offset_forgets_below_it_in_that_same_call(sandbox: Sandbox, api: Api) -> None:
    """Updates come again until an offset above them is asked for; that very call forgets them."""
    bot = sandbox.bots[100_001]
    first, second = bot.say(7, "one"), bot.say(7, "two")
    assert ids(await api("getUpdates")) == [first, second]
    assert ids(await api("getUpdates", offset=first)) == [first, second]
    assert bot.pending == 2
    assert ids(await api("getUpdates", offset=second)) == [second]
    assert (bot.pending, bot.acknowledged) == (1, 1)
    assert ids(await api("getUpdates", offset=0)) == [second]


async def test_negative_offset_keeps_only_the_newest(sandbox: Sandbox, api: Api) -> None:
    """Offset -2 hands out the last two and forgets everything older."""
    bot = sandbox.bots[100_001]
    sent = [bot.say(7, str(number)) for number in range(5)]
    assert ids(await api("getUpdates", offset=-2)) == sent[-2:]
    assert bot.pending == 2


@pytest.mark.parametrize(("limit", "given"), [(3, 3), (0, 1), (-5, 1), (1000, 100)])
async def test_limit_is_between_one_and_a_hundred(sandbox: Sandbox, api: Api, limit: int, given: int) -> None:
    """A limit outside of 1..100 is moved to the nearer end."""
    for number in range(120):
        sandbox.bots[100_001].say(7, str(number))
    assert len((await api("getUpdates", limit=limit))["result"]) == given


async def test_long_poll_ends_with_the_first_update(sandbox: Sandbox, api: Api) -> None:
    """A waiting poll answers as soon as somebody writes."""
    bot = sandbox.bots[100_001]
    poll = asyncio.create_task(api("getUpdates", timeout=50))
    await eventually(lambda: bot.polled)
    said = bot.say(7, "hello")
    assert ids(await poll) == [said]
    assert not bot.polled


async def test_long_poll_is_clamped_to_fifty_seconds(sandbox: Sandbox, api: Api, clock: ManualClock) -> None:
    """However long a poll asks to wait, it is answered empty after 50 s and not before."""
    poll = asyncio.create_task(api("getUpdates", timeout=600))
    await eventually(lambda: sandbox.bots[100_001].polled)
    await clock.advance(49.9)
    assert sandbox.bots[100_001].polled
    await clock.advance(0.1)
    assert (await poll)["result"] == []


async def test_of_two_pollers_the_earlier_is_ended(sandbox: Sandbox, api: Api) -> None:
    """The first of two polls gets 409, the second goes on waiting."""
    bot = sandbox.bots[100_001]
    first = asyncio.create_task(api("getUpdates", timeout=50))
    await eventually(lambda: bot.polled)
    second = asyncio.create_task(api("getUpdates", timeout=50))
    answer = await first
    assert answer["error_code"] == 409
    assert answer["description"].endswith(
        "terminated by other getUpdates request; make sure that only one bot instance is running"
    )
    said = bot.say(7, "hello")
    assert ids(await second) == [said]
    assert bot.conflicts == 1


async def test_webhook_and_polling_exclude_each_other(sandbox: Sandbox, api: Api) -> None:
    """Setting a webhook ends the poll in flight; polls are 409 until it is deleted."""
    bot = sandbox.bots[100_001]
    poll = asyncio.create_task(api("getUpdates", timeout=50))
    await eventually(lambda: bot.polled)
    assert (await api("setWebhook", url="https://example.org/x", secret_token="s"))["result"] is True
    assert (await poll)["error_code"] == 409
    refused = await api("getUpdates")
    assert refused["error_code"] == 409
    assert refused["description"].endswith(
        "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
    )
    bot.say(7, "waits")
    assert (await api("getWebhookInfo"))["result"]["pending_update_count"] == 1
    await api("deleteWebhook", drop_pending_updates=True)
    assert (await api("getUpdates"))["result"] == []


async def test_allowed_updates_drop_what_is_created_meanwhile(sandbox: Sandbox, api: Api) -> None:
    """A kind that is not allowed is never created; widening the list brings nothing back."""
    bot = sandbox.bots[100_001]
    await api("getUpdates", allowed_updates=["callback_query"])
    assert bot.say(7, "unheard") == 0
    pressed = bot.press(7, 1, "yes")
    assert ids(await api("getUpdates", allowed_updates=[])) == [pressed]
    assert bot.say(7, "heard") > 0


@pytest.mark.parametrize("delta", [1_000_000, -1_000_000])
async def test_ids_may_jump_both_ways(sandbox: Sandbox, api: Api, delta: int) -> None:
    """After a jump the client's old offset neither hides nor forgets the new update; the new id acknowledges it."""
    bot = sandbox.bots[100_001]
    before = bot.say(7, "before")
    await api("getUpdates", offset=before + 1)
    bot.jump_ids(delta)
    after = bot.say(7, "after")
    assert after == before + 1 + delta
    assert ids(await api("getUpdates", offset=before + 1)) == [after]
    assert ids(await api("getUpdates", offset=before + 1)) == [after], "an unknown offset must acknowledge nothing"
    assert ids(await api("getUpdates", offset=after + 1)) == []


async def test_jumping_back_over_waiting_updates_is_refused(sandbox: Sandbox, api: Api) -> None:
    """The server never goes back while something waits, so the double refuses to."""
    sandbox.bots[100_001].say(7, "waits")
    with pytest.raises(ValueError, match="pending"):
        sandbox.bots[100_001].jump_ids(-5)


async def test_poison_is_delivered_as_it_is(sandbox: Sandbox, api: Api) -> None:
    """Any raw update can be pushed, with a strange id too, and is acknowledged like others."""
    bot = sandbox.bots[100_001]
    pushed = bot.push({"message": "not an object"})
    strange = bot.push({"update_id": "seven", "message": {}})
    result = (await api("getUpdates"))["result"]
    assert result == [{"update_id": pushed, "message": "not an object"}, {"update_id": "seven", "message": {}}]
    assert ids(await api("getUpdates", offset=strange + 1)) == []


async def test_updates_expire_after_a_day(sandbox: Sandbox, api: Api, clock: ManualClock) -> None:
    """What nobody fetched for 24 hours is gone."""
    sandbox.bots[100_001].say(7, "old")
    await clock.advance(86_401)
    young = sandbox.bots[100_001].say(7, "young")
    assert ids(await api("getUpdates")) == [young]


async def test_repeating_an_offset_is_paced_on_request(clock: ManualClock) -> None:
    """With pace_repeats one offset repeated within half a second is answered with a single update."""
    async with Sandbox(clock=clock, pace_repeats=True) as sandbox, aiohttp.ClientSession() as session:
        bot = sandbox.add_bot()
        for number in range(3):
            bot.say(7, str(number))
        url = f"{sandbox.base_url}{bot.token}/getUpdates"
        sizes = []
        for pause in (0.0, 0.0, 0.6):
            await clock.advance(pause)
            async with session.get(url) as answer:
                sizes.append(len((await answer.json())["result"]))
        assert sizes == [3, 1, 3]


async def test_state_survives_stop_and_start(sandbox: Sandbox, api: Api) -> None:
    """A server that goes away cuts its polls and comes back at the same address with its updates."""
    bot = sandbox.bots[100_001]
    poll = asyncio.create_task(api("getUpdates", timeout=50))
    await eventually(lambda: bot.polled)
    port = sandbox.port
    await sandbox.stop()
    with pytest.raises(aiohttp.ClientError):
        await poll
    said = bot.say(7, "while away")
    await sandbox.start()
    assert sandbox.port == port
    assert ids(await api("getUpdates")) == [said]


async def test_an_independent_client_reads_updates(sandbox: Sandbox, api: Api) -> None:
    """python-telegram-bot reads messages, topics, commands, edits, buttons and groups as meant."""
    double = sandbox.bots[100_001]
    double.say(7, "/start now", name="Åsa <b>", topic_id=5, language="sv")
    double.say(-100, "hi 👋", user_id=9, title="The club")
    double.edit(7, 1, "changed")
    double.press(7, 2, "yes")
    async with telegram.Bot(double.token, base_url=sandbox.base_url) as bot:
        command, group, edited, pressed = await bot.get_updates()
        assert bot.first_name == "Support"
    assert command.message.text == "/start now"
    assert command.message.message_thread_id == 5
    assert command.message.entities[0].type == "bot_command"
    assert command.message.from_user.first_name == "Åsa <b>"
    assert (group.message.chat.type, group.message.chat.title, group.message.from_user.id) == (
        "supergroup",
        "The club",
        9,
    )
    assert edited.edited_message.text == "changed"
    assert pressed.callback_query.data == "yes"
