"""Updates that would block all later ones: without an id, nested without end, too large, with the highest id there is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from config.vocabulary import Condition
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from store.events import FellBehind, MessagePoisoned
from tests.workers.bot_rig import House, bot_house
from tests.workers.telegram_rig import TOKEN, canned_channel, telegram_config
from workers.channels.incoming import LARGEST_ID, stand_in
from workers.channels.nesting import DEEPEST, shallow
from workers.channels.telegram import TelegramChannel
from workers.channels.transport import MAX_ANSWER_BYTES
from workers.errors import ChannelUnreachable

pytestmark = pytest.mark.anyio

LEVELS = 200_000
NO_ID = {"update_id": "none"}


@asynccontextmanager
async def at_the_double(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[House, SandboxBot]]:
    """A bot that runs, and its other side at the double."""
    async with bot_house(tmp_path) as house, Sandbox(clock=house.clock, **options) as sandbox:
        bot, config = sandbox.add_bot(TOKEN), telegram_config(TOKEN, sandbox.base_url)
        house.channel = TelegramChannel(config, house.services.http, house.clock)  # type: ignore[assignment]
        house.spec(telegram={"token": TOKEN, "base_url": sandbox.base_url, "poll_timeout_s": 30})
        yield house, bot


def said(bot: SandboxBot, chat_id: int = 7) -> list[str]:
    """What the bot answered in a chat."""
    return [message.text for message in bot.sent_to(chat_id)]


def queue(bot: SandboxBot, body: str) -> int:
    """Queue an update as text, with %d for its id."""
    update_id = bot.updates.next_id
    bot.updates.put(update_id, body % update_id)
    return update_id


def message(text: str, more: str) -> str:
    """An update as text, with something more in its message."""
    date = 1_700_000_000
    return f'{{"update_id": %d, "message": {{"date": {date}, "text": "{text}", "chat": {{"id": 7}}, {more}}}}}'


# --- without an id ---------------------------------------------------------------------------------------------


async def test_a_full_batch_without_ids_is_stepped_over_and_nothing_good_is_lost(tmp_path: Path) -> None:
    """Twice a hundred of them between good ones: each is passed by one step, and what is behind is answered."""
    async with at_the_double(tmp_path) as (house, bot), house.running():
        bot.say(7, "before")
        await house.in_time(lambda: said(bot) == ["re before"])
        for number in range(230):
            bot.push({**NO_ID, "number": number})
        bot.say(7, "after")
        await house.in_time(lambda: said(bot) == ["re before", "re after"])
        await house.in_time(lambda: bot.updates.waiting == type(bot.updates.waiting)())
        bot.say(7, "last")
        await house.in_time(lambda: said(bot)[2:] == ["re last"])
        assert house.conditions.get(Condition.POLLING) is True
    assert len(house.events(FellBehind)) == 1, "the operator is told once"
    assert house.outcomes() == {"answered": 3}


async def test_a_few_without_ids_never_stand_in_the_way(tmp_path: Path) -> None:
    """Alone in the queue they are forgotten; a good one that comes with them is answered."""
    async with at_the_double(tmp_path) as (house, bot), house.running():
        for text in ("one", "two"):
            bot.push(NO_ID)
            bot.say(7, text)
            bot.push(NO_ID)
            bot.push({"update_id": None, "number": 2})
            await house.in_time(lambda text=text: said(bot)[-1:] == [f"re {text}"])
        await house.in_time(lambda: not bot.updates.waiting)


async def test_without_any_offset_they_are_waited_out_slowly(tmp_path: Path) -> None:
    """A new bot knows no id to go on from: it asks less and less, says why, once, and takes the first good one."""
    async with at_the_double(tmp_path) as (house, bot), house.running():
        for number in range(3):
            bot.push({**NO_ID, "number": number})
        await house.lapse(300)
        assert bot.calls["getUpdates"] <= 25
        assert "without a usable update_id" in house.reason(Condition.POLLING)
        assert len(house.events(FellBehind)) == 1
        bot.say(7, "good")
        await house.in_time(lambda: said(bot) == ["re good"])
        await house.in_time(lambda: house.conditions.get(Condition.POLLING) is True)


async def test_a_server_that_does_not_listen_is_not_stepped_over_again_and_again(tmp_path: Path) -> None:
    """Every step is safe only if the last one was heard: an offset far ahead would forget what is to come."""
    heard: list[int | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("getMe"):
            return web.json_response({"ok": True, "result": {"id": 100001, "is_bot": True, "first_name": "x"}})
        if not request.path.endswith("getUpdates"):
            return web.json_response({"ok": True, "result": {"message_id": 1}})
        asked = await request.json()
        heard.append(asked.get("offset"))
        first = {"update_id": 5, "message": {"date": 1_700_000_000, "text": "x", "chat": {"id": 7}}}
        return web.json_response({"ok": True, "result": [NO_ID] if len(heard) > 1 else [first]})

    async with bot_house(tmp_path) as house, canned_channel(answer, house.clock) as channel:
        house.channel = channel  # type: ignore[assignment]
        async with house.running():
            await house.in_time(lambda: len(heard) > 8, step_s=5)
    assert heard[1] == 6
    assert set(heard[2:]) == {7}


async def test_ids_that_may_have_started_anew_are_not_stepped_over(tmp_path: Path) -> None:
    """An offset of more than a day ago says nothing: good updates may have lower ids by now."""
    async with at_the_double(tmp_path) as (house, bot), house.running():
        bot.say(7, "before")
        await house.in_time(lambda: said(bot) == ["re before"])
        await house.advance(40)
        await house.clock.advance(86_401)
        bot.push(NO_ID)
        await house.in_time(lambda: house.events(FellBehind))
        await house.advance(90)
        assert len(bot.updates.waiting) == 1
        bot.say(7, "after")
        await house.in_time(lambda: said(bot)[1:] == ["re after"])


# --- nested without end ----------------------------------------------------------------------------------------


async def test_an_update_nested_without_end_costs_nothing_but_itself(tmp_path: Path) -> None:
    """Its batch is read; the message in it is answered when it can be understood, and set aside when it cannot."""
    deep = '{"a":' * LEVELS + "1" + "}" * LEVELS
    async with at_the_double(tmp_path) as (house, bot), house.running():
        bot.say(7, "before")
        queue(bot, message("deep within", f'"reply_to_message": {deep}'))
        poison = queue(bot, '{"update_id": %d, "message": ' + "[" * LEVELS + "]" * LEVELS + "}")
        bot.say(7, "after")
        await house.in_time(lambda: said(bot) == ["re before", "re deep within", "re after"])
        await house.in_time(lambda: house.outcomes()["poison"] == 1)
    assert [event.data()["update_id"] for event in house.events(MessagePoisoned)] == [poison]
    ((payload,),) = house.rows("SELECT payload FROM updates WHERE outcome = 'poison'")
    assert payload.count("[") == DEEPEST - 3, "its payload is kept as deep as anybody reads"


@pytest.mark.parametrize("levels", [1, DEEPEST - 1, DEEPEST, DEEPEST + 1, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"b]":"\\"[","a":', "}]")])
def test_what_is_shallow_stays_and_the_rest_is_null(levels: int, opening: str, closing: str) -> None:
    """Brackets within texts count for nothing, and what stands beside the depth is untouched."""
    beside = {"text": 'a]}"\\[[{', "list": [1, {"x": []}]}
    whole = json.dumps([beside])[:-1] + f", {opening * levels}1{closing * levels}, {json.dumps(beside)}]"
    read = json.loads(shallow(whole))
    assert read[0] == read[2] == beside
    if levels * opening.count("[") + levels * opening.count("{") < DEEPEST - 10:
        assert shallow(whole) == whole


@pytest.mark.parametrize("text", ["[" * 500, "]" * 500, '"' + "\\" * 999, '"abc', "[" * 101 + "]" * 102, ""])
def test_what_is_no_json_stays_none(text: str) -> None:
    """Nothing is mended."""
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Extra|Invalid"):
        json.loads(shallow(text))


# --- too large -------------------------------------------------------------------------------------------------


async def test_an_update_too_large_to_be_read_is_set_aside_when_it_comes_alone(tmp_path: Path) -> None:
    """With others it is asked for again, alone; then its id is enough, and the beginning of it is kept."""
    async with at_the_double(tmp_path) as (house, bot), house.running():
        bot.say(7, "before")
        large = queue(bot, message("x" * MAX_ANSWER_BYTES, '"date": 1'))
        bot.say(7, "after")
        await house.in_time(lambda: said(bot) == ["re before", "re after"])
        await house.in_time(lambda: house.outcomes()["poison"] == 1)
    assert [event.data()["update_id"] for event in house.events(MessagePoisoned)] == [large]
    ((payload,),) = house.rows("SELECT payload FROM updates WHERE outcome = 'poison'")
    assert "too large" in payload
    assert len(payload) < 5000


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<html>",
        b'{"ok":false,"result":[{"update_id":5,',
        b'{"ok":true,"result":[{"update_id":"5",',
        b'{"ok":true,"result":[{"update_id":5',
        b'{"ok":true,"result":[{"message":{"update_id":5,',
        b'{"ok":true,"result":[{"update_id":9223372036854775808,',
        b'{"ok":true,"result":{"x":[{"update_id":5,',
    ],
)
def test_an_id_is_taken_from_where_it_stands_and_nowhere_else(head: bytes) -> None:
    """What is no beginning of an answer with one update is nobody's update."""
    assert stand_in(head) is None


async def test_half_an_answer_is_never_taken_for_a_large_one(tmp_path: Path) -> None:
    """Cut short with all its headers right, a good update is asked for again."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"ok":true,"result":[{"update_id":1,"mess', content_type="application/json")

    async with canned_channel(answer) as channel:
        for brief in (False, True):
            with pytest.raises(ChannelUnreachable):
                await channel.poll(None, brief=brief)


# --- the highest ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("update_id", [2**31 - 1, 2**31, 2**32, 2**53, LARGEST_ID - 1])
async def test_ids_at_the_edges_of_numbers_are_ids_as_any_other(tmp_path: Path, update_id: int) -> None:
    """Answered once, acknowledged, and the next is answered too; poison is set aside once."""
    async with at_the_double(tmp_path) as (house, bot), house.running():
        bot.push({"update_id": update_id - 1, "message": "poison"})
        bot.push({"update_id": update_id, **_text("edge")})
        await house.in_time(lambda: said(bot) == ["re edge"])
        await house.in_time(lambda: not bot.updates.waiting)
    assert house.rows("SELECT next_offset FROM bots") == [(update_id + 1,)]
    assert house.outcomes() == {"answered": 1, "poison": 1}
    assert len(house.events(MessagePoisoned)) == 1


@pytest.mark.parametrize("kind", ["good", "poison"])
async def test_the_highest_id_cannot_be_acknowledged_and_does_no_harm(tmp_path: Path, kind: str) -> None:
    """There is no offset above it: it is taken once, polled for less and less, also after a restart."""
    async with at_the_double(tmp_path) as (house, bot):
        bot.say(7, "before")
        bot.push({"update_id": LARGEST_ID, **(_text("edge") if kind == "good" else {"message": []})})
        for _ in range(2):
            async with house.running():
                await house.in_time(lambda: "repeats" in house.reason(Condition.POLLING))
                before = bot.calls["getUpdates"]
                await house.lapse(120)
                assert bot.calls["getUpdates"] - before < 15
    assert house.rows("SELECT next_offset FROM bots") == [(LARGEST_ID,)]
    assert said(bot) == (["re before", "re edge"] if kind == "good" else ["re before"])
    assert len(house.events(MessagePoisoned)) == (kind == "poison")


async def test_an_id_beyond_the_highest_is_none(tmp_path: Path) -> None:
    """It is dropped; a good one that comes with it acknowledges it."""
    async with at_the_double(tmp_path) as (house, bot), house.running():
        bot.say(7, "before")
        bot.updates.put(bot.updates.next_id, json.dumps({"update_id": 2**63, **_text("beyond")}))
        bot.say(7, "after")
        await house.in_time(lambda: said(bot) == ["re before", "re after"])
    assert house.outcomes() == {"answered": 2}


def _text(text: str) -> dict[str, Any]:
    return {"message": {"date": 1_700_000_000, "chat": {"id": 7}, "text": text}}
