"""The double puts entities right, and refuses them, as the real server does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio
Rig = tuple[Sandbox, SandboxBot]


@pytest.fixture
async def rig(clock: ManualClock) -> AsyncIterator[Rig]:
    async with Sandbox(clock=clock, rich_messages=True) as sandbox:
        yield sandbox, sandbox.add_bot()


async def post(rig: Rig, method: str, **params: Any) -> tuple[int, dict[str, Any]]:
    sandbox, bot = rig
    url = f"{sandbox.url}/bot{bot.token}/{method}"
    async with aiohttp.ClientSession() as session, session.post(url, json={"chat_id": 7, **params}) as answer:
        return answer.status, await answer.json()


def entity(kind: str, offset: int, length: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": length, **more}


@pytest.mark.parametrize(
    ("listed", "refusal"),
    [
        ([entity("bold", 2, 20)], "ends after the end of the text"),
        ([entity("bold", 20, 1)], "begins after the end of the text"),
        ([entity("bold", -1, 2)], "incorrect offset -1"),
        ([entity("bold", 0, -2)], "incorrect length -2"),
        ([entity("bold", 1, 2)], "in a middle of a UTF-16 symbol"),
        ([entity("bold", 0, 1)], "in a middle of a UTF-16 symbol"),
        ([entity("shiny", 0, 2)], "can't parse MessageEntity: Unsupported type"),
        ([{"type": "bold", "length": 1}], "can't parse MessageEntity"),
        (["bold"], "can't parse MessageEntity"),
        ([entity("text_link", 0, 2)], "can't parse MessageEntity"),
        ([entity("text_link", 0, 2, url="@name")], "entity URL '@name' is invalid: Wrong HTTP URL"),
        ([entity("text_link", 0, 2, url="http://localhost/x")], "Wrong HTTP URL"),
        ([entity("text_link", 0, 2, url="ftp://e.org")], "Unsupported URL protocol"),
    ],
)
async def test_wrong_entities_are_refused(rig: Rig, listed: list[Any], refusal: str) -> None:
    """In the server's words, and nothing is sent."""
    status, answer = await post(rig, "sendMessage", text="😀 some words", entities=listed)
    assert (status, refusal in answer["description"]) == (400, True), answer
    assert rig[1].sent == []


@pytest.mark.parametrize(
    ("listed", "shown"),
    [
        ([entity("bold", 0, 0)], []),
        ([entity("bold", 3, 3)], [entity("bold", 4, 2)]),
        ([entity("bold", 3, 1)], []),
        ([entity("code", 0, 3), entity("bold", 1, 1)], [entity("code", 0, 3)]),
        ([entity("bold", 0, 3), entity("italic", 2, 4)], [entity("bold", 0, 3), entity("italic", 2, 4)]),
        ([entity("code", 0, 3), entity("pre", 2, 4)], [entity("code", 0, 3)]),
        ([entity("blockquote", 0, 8), entity("blockquote", 1, 2)], [entity("blockquote", 0, 8)]),
        ([entity("blockquote", 0, 8), entity("pre", 1, 2)], [entity("blockquote", 0, 8), entity("pre", 1, 2)]),
        ([entity("url", 0, 3)], []),
        ([entity("bold", 4, 1), entity("bold", 0, 1)], [entity("bold", 0, 1), entity("bold", 4, 1)]),
        ([entity("text_link", 0, 3, url="tg://user?id=1")], [entity("text_link", 0, 3, url="tg://user?id=1")]),
    ],
)
async def test_entities_are_put_right(rig: Rig, listed: list[Any], shown: list[Any]) -> None:
    """Empty, blank, crossing and misplaced ones are dropped or trimmed, the rest is shown in order."""
    status, answer = await post(rig, "sendMessage", text="abc defgh", entities=listed)
    assert (status, answer["result"].get("entities", [])) == (200, shown)


async def test_only_a_hundred_entities_are_shown(rig: Rig) -> None:
    """The server keeps the first hundred."""
    _, answer = await post(rig, "sendMessage", text="x" * 300, entities=[entity("bold", n * 2, 1) for n in range(150)])
    assert len(answer["result"]["entities"]) == 100


async def test_rich_messages_exist_on_request(rig: Rig, clock: ManualClock) -> None:
    """Markdown is taken to 32,768 characters; a server without the method does not know it."""
    assert (await post(rig, "sendRichMessage", rich_message={"markdown": "**x**"}))[0] == 200
    assert (await post(rig, "sendRichMessage", rich_message={"markdown": "x" * 32_769}))[0] == 400
    assert (await post(rig, "sendRichMessage", rich_message={"markdown": " "}))[0] == 400
    assert (await post(rig, "sendRichMessage"))[0] == 400
    async with Sandbox(clock=clock) as sandbox:
        status, answer = await post((sandbox, sandbox.add_bot()), "sendRichMessage", rich_message={"markdown": "x"})
        assert (status, answer["description"]) == (404, "Not Found: method not found")


async def test_buttons_are_looked_at(rig: Rig) -> None:
    """Data of more than 64 bytes, and a button without a text, are refused."""
    for button, status in (
        ({"text": "a", "callback_data": "x" * 64}, 200),
        ({"text": "a", "callback_data": "é" * 33}, 400),
        ({"text": " ", "callback_data": "x"}, 400),
    ):
        assert (await post(rig, "sendMessage", text="x", reply_markup={"inline_keyboard": [[button]]}))[0] == status


async def test_a_document_may_be_named_in_json(rig: Rig) -> None:
    """A file that is at the server already goes again by its id."""
    file_id = rig[1].add_file(b"bytes", "a.md")
    status, answer = await post(rig, "sendDocument", document=file_id, caption="look")
    assert (status, answer["result"]["document"]["file_name"], answer["result"]["caption"]) == (200, "a.md", "look")
