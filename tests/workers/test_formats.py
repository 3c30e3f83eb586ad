"""Formatted answers on their way: entities, their one fallback, files, buttons, and the server's own Markdown."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.schema import ReplySection
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.markup.documents import Author
from tests.workers.telegram_rig import TOKEN, telegram_channel, telegram_config
from workers.channels.base import Channel, Lane, Outgoing
from workers.channels.loopback import LoopbackChannel
from workers.channels.telegram import TelegramChannel
from workers.clock import ManualClock
from workers.errors import SendRefused
from workers.http import Http

pytestmark = pytest.mark.anyio
Rig = tuple[TelegramChannel, SandboxBot, Sandbox]

MARKDOWN = ReplySection()
RICH = ReplySection(rich="auto")
LONG = "\n\n".join(f"Paragraph **{number}** " + "word " * 200 for number in range(40))


@pytest.fixture
async def rig(clock: ManualClock) -> AsyncIterator[Rig]:
    async with telegram_channel(clock) as rig:
        yield rig


@pytest.fixture
async def rich_rig(clock: ManualClock) -> AsyncIterator[Rig]:
    """A channel on a server that has Markdown of its own."""
    http = Http()
    async with Sandbox(clock=clock, rich_messages=True) as sandbox:
        bot = sandbox.add_bot(TOKEN)
        yield TelegramChannel(telegram_config(TOKEN, sandbox.base_url), http, clock), bot, sandbox
        await http.close()


def stored(parts: list[Outgoing]) -> list[Outgoing]:
    """The parts as the outbox gives them back after a restart."""
    return [Outgoing(part.chat_id, part.method, json.loads(json.dumps(part.params))) for part in parts]


async def say(channel: Channel, text: str, reply: ReplySection | None = MARKDOWN, **more: Any) -> list[Outgoing]:
    """Render an answer, take it through the outbox and send it."""
    parts = stored(channel.render(Lane(1), text, reply, **more))
    for part in parts:
        await channel.send(part)
    return parts


async def test_markdown_arrives_as_entities(rig: Rig) -> None:
    """Text without signs, entities in UTF-16 units, and nothing of ours on the wire."""
    channel, bot, _ = rig
    await say(channel, "😀 **bold** and [a link](https://e.org)")
    (sent,) = bot.sent
    assert sent.text == "😀 bold and a link"
    assert sent.params["entities"] == [
        {"type": "bold", "offset": 3, "length": 4},
        {"type": "text_link", "offset": 12, "length": 6, "url": "https://e.org"},
    ]
    assert set(sent.params) == {"chat_id", "text", "entities"}


@pytest.mark.parametrize("seed", range(8))
async def test_the_double_takes_whatever_is_rendered(rig: Rig, seed: int) -> None:
    """The server's own checks agree: no part of a nasty document is refused or loses its formatting."""
    channel, bot, _ = rig
    parts = await say(channel, Author(seed).document(), ReplySection(max_parts=100))
    assert channel.refused_formats() == 0
    assert len(bot.sent) == len(parts)


@pytest.mark.parametrize(
    "refusal",
    [
        "Bad Request: can't parse entities: no end",
        "Bad Request: entity URL 'https://e.org' is invalid: Wrong HTTP URL",
        "Bad Request: entity begins after the end of the text at UTF-16 offset 5",
    ],
)
async def test_refused_formatting_gives_way_once_to_the_markdown_and_is_counted(rig: Rig, refusal: str) -> None:
    """The person reads what the model wrote; a second refusal is final."""
    channel, bot, _ = rig
    bot.faults.fail("sendMessage", "bad_request", description=refusal)
    await say(channel, "some **bold** words")
    assert [(sent.text, "entities" in sent.params) for sent in bot.sent] == [("some **bold** words", False)]
    assert (channel.refused_formats(), channel.refused_formats()) == (1, 0)
    bot.faults.fail("sendMessage", "bad_request", description=refusal, times=None)
    with pytest.raises(SendRefused):
        await say(channel, "some **bold** words")
    assert bot.calls["sendMessage"] == 4


async def test_each_part_falls_back_to_its_own_piece(rig: Rig) -> None:
    """Of an answer in parts only the refused one loses its formatting."""
    channel, bot, _ = rig
    parts = channel.render(Lane(1), LONG[:9000], MARKDOWN)
    bot.faults.fail("sendMessage", "bad_request", description="Bad Request: can't parse entities", after=1)
    for part in stored(parts):
        await channel.send(part)
    assert ["entities" in sent.params for sent in bot.sent] == [True, False, True]
    assert bot.sent[1].text.startswith("Paragraph **")
    assert " ".join(sent.text.replace("*", "") for sent in bot.sent).split() == LONG[:9000].replace("*", "").split()


async def test_plain_is_sent_as_it_is_written(rig: Rig) -> None:
    """format = "plain", and texts that are no model's, keep every sign."""
    channel, bot, _ = rig
    await say(channel, "some **bold** words", ReplySection(format="plain"))
    await say(channel, "some **bold** words", None)
    assert [(sent.text, set(sent.params)) for sent in bot.sent] == [("some **bold** words", {"chat_id", "text"})] * 2


async def test_an_answer_of_too_many_parts_is_one_file(rig: Rig) -> None:
    """The whole Markdown as answer.md, the first paragraph as its caption, uploaded from the outbox."""
    channel, bot, _ = rig
    (part,) = await say(channel, LONG, MARKDOWN, buttons=(("More", "more"),))
    (sent,) = bot.sent
    assert (part.method, sent.method) == ("sendDocument", "sendDocument")
    assert sent.text == ("Paragraph 0 " + "word " * 200).strip()
    (file,) = bot.files.values()
    assert (file.name, file.data.decode()) == ("answer.md", LONG)
    assert json.loads(sent.params["reply_markup"]) == part.params["reply_markup"]
    assert len(channel.render(Lane(1), LONG, ReplySection(max_parts=50))) > 5


async def test_where_files_are_forbidden_the_beginning_is_sent(rig: Rig) -> None:
    """A group may forbid documents; the person gets what fits into a message, not silence."""
    channel, bot, _ = rig
    bot.faults.fail(
        "sendDocument", "bad_request", description="Bad Request: not enough rights to send documents to the chat"
    )
    await say(channel, LONG)
    assert bot.sent[0].text.startswith("Paragraph **0**")
    assert bot.sent[0].text.endswith("…")


async def test_buttons_hang_on_the_last_part(rig: Rig) -> None:
    """One a row; those the server would refuse the answer for are left out, or taken off when it does."""
    channel, bot, _ = rig
    buttons = (("Yes", "y"), ("", "z"), ("Long", "x" * 65), ("No", "n"))
    parts = await say(channel, LONG[:9000], buttons=buttons)
    rows = [[{"text": "Yes", "callback_data": "y"}], [{"text": "No", "callback_data": "n"}]]
    assert [sent.params.get("reply_markup") for sent in bot.sent] == [
        *[None] * (len(parts) - 1),
        {"inline_keyboard": rows},
    ]
    bot.faults.fail("sendMessage", "bad_request", description="Bad Request: BUTTON_DATA_INVALID")
    await say(channel, "**x**", buttons=buttons)
    assert [("reply_markup" in sent.params, "entities" in sent.params) for sent in bot.sent[-1:]] == [(False, True)]


async def test_a_server_without_markdown_is_asked_once(rig: Rig) -> None:
    """The first answer finds out, arrives all the same, and is no refusal; later ones do not ask again."""
    channel, bot, _ = rig
    await say(channel, "**one**", RICH)
    await say(channel, "**two**", RICH)
    assert [(sent.method, sent.text, "entities" in sent.params) for sent in bot.sent] == [
        ("sendMessage", "one", True),
        ("sendMessage", "two", True),
    ]
    assert bot.calls["sendRichMessage"] == 1
    assert channel.refused_formats() == 0


async def test_a_server_with_markdown_gets_it(rich_rig: Rig) -> None:
    """Once one was taken, long answers go that way too, in one message; text without Markdown goes as text."""
    channel, bot, _ = rich_rig
    assert len(channel.render(Lane(1), LONG[:9000], RICH)) == 3
    await say(channel, "**one**", RICH)
    await say(channel, LONG[:9000], RICH)
    await say(channel, "plain", RICH)
    await say(channel, "**off**", MARKDOWN)
    assert [sent.method for sent in bot.sent] == ["sendRichMessage", "sendRichMessage", "sendMessage", "sendMessage"]
    assert bot.sent[0].params["rich_message"] == {"markdown": "**one**"}


async def test_markdown_the_server_refuses_goes_as_entities_or_as_a_file(rich_rig: Rig) -> None:
    """One part stays one part, whatever its length: the outbox knows of one."""
    channel, bot, _ = rich_rig
    await say(channel, "**one**", RICH)
    bot.faults.fail("sendRichMessage", "bad_request", description="Bad Request: too many blocks", times=2)
    await say(channel, "**two**", RICH)
    await say(channel, LONG[:9000], RICH)
    assert [sent.method for sent in bot.sent] == ["sendRichMessage", "sendMessage", "sendDocument"]
    assert channel.refused_formats() == 2


async def test_topics_are_kept_in_every_form(rich_rig: Rig) -> None:
    """A fallback goes where the answer was to go."""
    channel, bot, _ = rich_rig
    bot.faults.fail("sendRichMessage", "bad_request", description="Bad Request: too many blocks")
    for text in ("**x**", LONG):
        for part in stored(channel.render(Lane(-5, 9), text, RICH)):
            await channel.send(part)
    assert [(sent.method, sent.chat_id, sent.topic_id) for sent in bot.sent] == [
        ("sendMessage", -5, 9),
        ("sendDocument", -5, 9),
    ]


async def test_loopback_formats_as_telegram_does() -> None:
    """An embedding program sees the same parts."""
    channel = LoopbackChannel()
    parts = await say(channel, "**bold**", buttons=(("Yes", "y"),))
    assert parts[0].params["entities"] == [{"type": "bold", "offset": 0, "length": 4}]
    assert "reply_markup" in parts[0].params
    assert (await say(channel, LONG))[0].method == "sendDocument"
    assert [sent.text[:11] for sent in channel.sent] == ["bold", "Paragraph 0"]
    assert channel.refused_formats() == 0
