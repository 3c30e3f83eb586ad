"""The double accepts and refuses what bots send as the real server does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
import telegram
from telegram.error import BadRequest, Forbidden, InvalidToken, RetryAfter

from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

Api = Callable[..., Any]


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock) as running:
        yield running


@pytest.fixture
def double(sandbox: Sandbox) -> SandboxBot:
    return sandbox.add_bot(username="support_bot", name="Support")


@pytest.fixture
async def bot(sandbox: Sandbox, double: SandboxBot) -> AsyncIterator[telegram.Bot]:
    async with telegram.Bot(double.token, base_url=sandbox.base_url, base_file_url=sandbox.base_file_url) as client:
        yield client


async def post(sandbox: Sandbox, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.post(sandbox.url + path, **options) as answer:
        return answer.status, await answer.json()


async def test_a_sent_message_is_returned_and_kept(bot: telegram.Bot, double: SandboxBot) -> None:
    """sendMessage answers the message; `sent` tells text, chat, topic, time and parameters."""
    asked = double.say(7, "question")
    answer = await bot.send_message(7, "answer", message_thread_id=5, reply_parameters=telegram.ReplyParameters(1))
    assert (answer.text, answer.chat_id, answer.message_thread_id) == ("answer", 7, 5)
    assert answer.from_user.username == "support_bot"
    assert answer.reply_to_message.message_id == 1
    [sent] = double.sent_to(7)
    assert (sent.method, sent.text, sent.topic_id, sent.message_id) == ("sendMessage", "answer", 5, answer.message_id)
    assert sent.at == double.clock.now()
    assert asked and double.calls["sendMessage"] == 1


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("x" * 4096, None),
        ("x" * 4097, "essage is too long"),
        ("😀" * 2048, None),
        ("😀" * 2048 + "x", "essage is too long"),
        ("<b>" + "x" * 4096 + "</b>", None),
        (" \n ", "essage text is empty"),
        ("<b></b>", "essage text is empty"),
        ("<c>x</c>", 'can\'t parse entities: unsupported start tag "c"'),
        ("<b>x", "can't parse entities: can't find end tag"),
        ("<b>x</i>", "can't parse entities: unmatched end tag"),
        ("x</i>", "can't parse entities: unexpected end tag"),
        ("1 < 2", "can't parse entities: unclosed start tag"),
    ],
)
async def test_text_is_measured_in_utf16_after_parsing(bot: telegram.Bot, text: str, refusal: str | None) -> None:
    """4096 UTF-16 units fit, markup not counted; empty, longer and unparsable text is refused in the server's words."""
    if refusal is None:
        assert (await bot.send_message(7, text, parse_mode="HTML")).text
    else:
        with pytest.raises(BadRequest) as refused:
            await bot.send_message(7, text, parse_mode="HTML")
        assert refusal.lower() in str(refused.value).lower()


@pytest.mark.parametrize(
    ("mode", "source", "text", "kinds"),
    [
        (
            "HTML",
            'a <b>b <i>c</i></b> <a href="https://e.org">d</a> &lt;',
            "a b c d <",
            ["bold", "italic", "text_link"],
        ),
        (
            "MarkdownV2",
            r"*b* _i_ __u__ `c\_` ||s|| 1\.5",
            "b i u c_ s 1.5",
            ["bold", "italic", "underline", "code", "spoiler"],
        ),
        ("Markdown", "*b* [x](https://e.org) ok.", "b x ok.", ["bold", "text_link"]),
        ("MarkdownV2", "```\na.b!\n```", "\na.b!\n", ["pre"]),
    ],
)
async def test_markup_becomes_entities(bot: telegram.Bot, mode: str, source: str, text: str, kinds: list[str]) -> None:
    """HTML and Markdown as bots use them are parsed into text and entities."""
    message = await bot.send_message(7, source, parse_mode=mode)
    assert message.text == text
    assert [entity.type for entity in message.entities] == kinds


@pytest.mark.parametrize(("mode", "text"), [("MarkdownV2", "1.5"), ("MarkdownV2", "*open"), ("Markdown", "snake_case")])
async def test_bad_markdown_is_refused(bot: telegram.Bot, mode: str, text: str) -> None:
    """Reserved characters and open marks are "can't parse entities", as people meet them."""
    with pytest.raises(BadRequest, match="an't parse entities"):
        await bot.send_message(7, text, parse_mode=mode)


async def test_entities_must_lie_in_the_text(bot: telegram.Bot) -> None:
    """Entities are counted in UTF-16 units and refused beyond the end."""
    good = [telegram.MessageEntity("bold", 2, 1)]
    assert (await bot.send_message(7, "😀x", entities=good)).text == "😀x"
    with pytest.raises(BadRequest, match="fter the end of the text"):
        await bot.send_message(7, "😀x", entities=[telegram.MessageEntity("bold", 3, 1)])


async def test_chats_that_never_wrote_are_unknown_on_request(clock: ManualClock) -> None:
    """With known_chats_only a bot cannot begin a conversation, nor write into an unknown topic."""
    async with Sandbox(clock=clock, known_chats_only=True) as sandbox:
        double = sandbox.add_bot()
        double.say(7, "hello", topic_id=5)
        async with telegram.Bot(double.token, base_url=sandbox.base_url) as bot:
            await bot.send_message(7, "hi", message_thread_id=5)
            with pytest.raises(BadRequest, match="essage thread not found"):
                await bot.send_message(7, "hi", message_thread_id=6)
            with pytest.raises(BadRequest, match="Chat not found"):
                await bot.send_message(8, "hi")
            double.block(7)
            with pytest.raises(Forbidden):
                await bot.send_message(7, "hi")


async def test_an_edit_still_answers_what_it_answered(bot: telegram.Bot, double: SandboxBot) -> None:
    """A message of a person or of the bot that replies to another does so after every edit of it."""
    double.say(7, "question")
    answer = await bot.send_message(7, "an", reply_to_message_id=1)
    for text in ("answer", "a better answer"):
        edited = await answer.edit_text(text)
        assert isinstance(edited, telegram.Message)
        assert edited.reply_to_message is not None
        assert edited.reply_to_message.message_id == 1
    double.say(7, "and why?", reply_to=answer.message_id)
    for text in ("and why not?", "and when?"):
        double.edit(7, 3, text)
    *_, last = await bot.get_updates()
    assert last.edited_message is not None
    assert last.edited_message.reply_to_message is not None
    assert (last.edited_message.reply_to_message.message_id, last.edited_message.text) == (2, "and when?")


async def test_edit_and_delete(bot: telegram.Bot, double: SandboxBot) -> None:
    """Only one's own existing messages can be edited, and only into something else."""
    double.say(7, "mine")
    message = await bot.send_message(7, "first")
    assert (await message.edit_text("second")).text == "second"
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_text("second", 7, message.message_id)
    with pytest.raises(BadRequest, match="can't be edited"):
        await bot.edit_message_text("theirs", 7, 1)
    assert await message.delete()
    with pytest.raises(BadRequest, match="essage to edit not found"):
        await message.edit_text("third")
    with pytest.raises(BadRequest, match="essage to delete not found"):
        await message.delete()
    with pytest.raises(BadRequest, match="essage to be replied not found"):
        await bot.send_message(7, "x", reply_parameters=telegram.ReplyParameters(message.message_id))


async def test_the_smaller_methods(bot: telegram.Bot, double: SandboxBot) -> None:
    """Actions, callbacks, commands and chats answer as an independent client expects."""
    assert await bot.send_chat_action(7, "typing")
    assert double.actions == [(7, "typing")]
    assert await bot.set_my_commands([("start", "Begin")])
    assert [command.command for command in await bot.get_my_commands()] == ["start"]
    double.say(7, "x", name="Anna")
    double.press(7, 1, "yes")
    pressed = (await bot.get_updates())[-1]
    assert await pressed.callback_query.answer()
    with pytest.raises(BadRequest, match="too old"):
        await pressed.callback_query.answer()
    assert (await bot.get_chat(7)).first_name == "Anna"
    assert (await bot.get_webhook_info()).url == ""


async def test_files_go_both_ways(bot: telegram.Bot, double: SandboxBot) -> None:
    """An uploaded document is stored and can be downloaded; so can one a person put there."""
    message = await bot.send_document(7, b"content", filename="a.txt", caption="look")
    assert (message.caption, message.document.file_name) == ("look", "a.txt")
    file = await bot.get_file(message.document.file_id)
    assert bytes(await file.download_as_bytearray()) == b"content"
    theirs = await bot.get_file(double.add_file(b"theirs", "b.bin"))
    assert bytes(await theirs.download_as_bytearray()) == b"theirs"
    with pytest.raises(BadRequest, match="rong file_id"):
        await bot.get_file("nothing")
    with pytest.raises(BadRequest, match="caption is too long"):
        await bot.send_document(7, b"x", caption="x" * 1025)


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"chat_id": 7, "text": "hi & bye"}},
        {"data": {"chat_id": "7", "text": "hi & bye"}},
        {"params": {"chat_id": "7", "text": "hi & bye"}},
        {"data": aiohttp.FormData},
    ],
    ids=["json", "form", "query", "multipart"],
)
async def test_parameters_come_in_any_form(sandbox: Sandbox, double: SandboxBot, options: dict[str, Any]) -> None:
    """JSON, form, query string and multipart mean the same; method names may be written in any case."""
    if options.get("data") is aiohttp.FormData:
        form = aiohttp.FormData(default_to_multipart=True)
        form.add_field("chat_id", "7")
        form.add_field("text", "hi & bye")
        options = {"data": form}
    status, answer = await post(sandbox, f"/bot{double.token}/SENDmessage", **options)
    assert (status, answer["result"]["text"]) == (200, "hi & bye")
    assert double.calls["sendMessage"] == 1


async def test_strangers_and_unknown_methods(sandbox: Sandbox, double: SandboxBot) -> None:
    """A wrong token is 401, an unknown method 404, a broken body 400: in the server's words."""
    assert await post(sandbox, f"/bot{double.id}:{'x' * 35}/getMe") == (
        401,
        {"ok": False, "error_code": 401, "description": "Unauthorized"},
    )
    assert (await post(sandbox, "/botnonsense/getMe"))[0] == 401
    status, answer = await post(sandbox, f"/bot{double.token}/makeCoffee")
    assert (status, answer["error_code"]) == (404, 404)
    assert answer["description"].startswith("Not Found")
    broken = {"data": b"{", "headers": {"Content-Type": "application/json"}}
    assert (await post(sandbox, f"/bot{double.token}/getMe", **broken))[0] == 400
    assert (await post(sandbox, f"/bot{double.token}/sendMessage", json={"text": "x"}))[1]["description"] == (
        "Bad Request: chat_id is empty"
    )


async def test_a_renewed_token_replaces_the_old(sandbox: Sandbox, double: SandboxBot, bot: telegram.Bot) -> None:
    """After /revoke the old token is unauthorized, the new one is the same bot."""
    sandbox.renew_token(double)
    with pytest.raises(InvalidToken):
        await bot.get_me()
    async with telegram.Bot(double.token, base_url=sandbox.base_url) as renewed:
        assert renewed.id == double.id


async def test_any_token_on_request(clock: ManualClock) -> None:
    """With accept_any_token a bot is made on first use, and only one per bot id."""
    async with Sandbox(clock=clock, accept_any_token=True) as sandbox:
        status, answer = await post(sandbox, f"/bot555555:{'a' * 35}/getMe")
        assert (status, answer["result"]["id"]) == (200, 555555)
        assert (await post(sandbox, f"/bot555555:{'b' * 35}/getMe"))[0] == 401


async def test_limits_on_request(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """With enforce_limits a chat may burst, then waits; a group takes 20 a minute, a bot 30 a second."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    async with Sandbox(clock=clock, enforce_limits=True) as sandbox:
        double = sandbox.add_bot()
        async with telegram.Bot(double.token, base_url=sandbox.base_url) as bot:
            for _ in range(3):
                await bot.send_message(7, "x")
            with pytest.raises(RetryAfter) as flood:
                await bot.send_message(7, "x")
            assert flood.value.retry_after.total_seconds() == 3
            await clock.advance(3)
            for chat in range(30):
                await bot.send_message(100 + chat, "x")
            with pytest.raises(RetryAfter):
                await bot.send_message(99, "x")
            await clock.advance(60)
            for _ in range(20):
                await bot.send_message(-5, "x")
                await clock.advance(1)
            with pytest.raises(RetryAfter) as flood:
                await bot.send_message(-5, "x")
            assert flood.value.retry_after.total_seconds() == 40


async def test_new_bots_are_paced_on_request(clock: ManualClock) -> None:
    """With limit_first_use the 21st new bot within a minute is answered 429, known ones are not."""
    async with Sandbox(clock=clock, limit_first_use=True) as sandbox:
        doubles = [sandbox.add_bot() for _ in range(21)]
        codes = [(await post(sandbox, f"/bot{double.token}/getMe"))[0] for double in [*doubles, doubles[0]]]
        assert codes == [200] * 20 + [429, 200]
        await clock.advance(60)
        assert (await post(sandbox, f"/bot{doubles[20].token}/getMe"))[0] == 200


async def test_what_is_kept_is_bounded(clock: ManualClock) -> None:
    """However much is sent, only about the last keep_sent stay; 0 counts only."""
    async with Sandbox(clock=clock, keep_sent=10) as sandbox:
        double = sandbox.add_bot()
        async with telegram.Bot(double.token, base_url=sandbox.base_url) as bot:
            for number in range(60):
                await bot.send_message(7, str(number))
        assert double.sent_count == 60
        assert len(double.sent) <= 30
        assert double.sent[-1].text == "59"


async def test_log_out(bot: telegram.Bot) -> None:
    """After logOut the server answers nothing but that."""
    assert await bot.log_out()
    with pytest.raises(BadRequest, match="Logged out"):
        await bot.get_me()
