"""What people send the double beside words, and what its model sees and hears of it."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest

from console.sandbox.files import photo
from console.sandbox.server import Sandbox
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

JPEG = b"\xff\xd8\xff picture"


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock) as running:
        yield running


async def test_another_process_may_send_files(sandbox: Sandbox) -> None:
    """By the desk, as base64; what is missing or unknown is told."""
    bot = sandbox.add_bot(username="support_bot")
    said = {"bot": "support_bot", "chat_id": 5, "text": "so?"}
    file = {"kind": "document", "base64": base64.b64encode(b"text").decode(), "name": "a.txt", "size": 9}
    async with aiohttp.ClientSession(sandbox.url) as http:
        async with http.post("/sandbox/say", json={**said, "file": file}) as answer:
            assert answer.status == 200
        for broken in ({"kind": "hologram", "base64": ""}, {"kind": "photo"}, {"kind": "photo", "base64": "%"}):
            async with http.post("/sandbox/say", json={**said, "file": broken}) as answer:
                assert answer.status == 400
        async with http.get(f"/bot{bot.token}/getUpdates") as answer:
            (update,) = (await answer.json())["result"]
    message = update["message"]
    assert (message["caption"], message["document"]["file_name"], message["document"]["file_size"]) == (
        "so?",
        "a.txt",
        9,
    )
    assert bot.files[message["document"]["file_id"]].data == b"text"


async def test_a_file_needs_no_words(sandbox: Sandbox) -> None:
    """A picture goes without a caption, by the desk and by `say`; a message without either is refused."""
    bot = sandbox.add_bot(username="support_bot")
    file = {"kind": "photo", "base64": base64.b64encode(JPEG).decode()}
    async with aiohttp.ClientSession(sandbox.url) as http:
        for more, status in (({"file": file}, 200), ({"file": file, "text": ""}, 200), ({}, 400), ({"text": ""}, 400)):
            async with http.post("/sandbox/say", json={"bot": "support_bot", "chat_id": 5, **more}) as answer:
                assert answer.status == status
        bot.say(5, more=photo(bot, JPEG))
        async with http.get(f"/bot{bot.token}/getUpdates") as answer:
            messages = [update["message"] for update in (await answer.json())["result"]]
    assert len(messages) == 3
    assert all("photo" in message and not {"text", "caption"} & message.keys() for message in messages)


async def test_a_photo_has_sizes_and_an_album_an_id(sandbox: Sandbox) -> None:
    """Smallest first, as the server lists them."""
    members = photo(sandbox.add_bot(), b"s", b"larger", size=77, album="9")
    assert [size["file_size"] for size in members["photo"]] == [1, 77]
    assert members["media_group_id"] == "9"


async def test_the_models_ears_understand_the_official_client(sandbox: Sandbox) -> None:
    """The bytes are the words; a file whose name tells no kind is refused, and faults act as on answers."""
    async with openai.AsyncOpenAI(base_url=sandbox.model_url, api_key="key", max_retries=0) as client:

        async def hear(name: str) -> str:
            file = (name, io.BytesIO(b"good morning"))
            return (await client.audio.transcriptions.create(model="w", file=file, language="en")).text

        assert await hear("voice.ogg") == "good morning"
        with pytest.raises(openai.BadRequestError, match="Unrecognized file format"):
            await hear("voice")
        sandbox.model.faults.fail("transcriptions", "flood")
        with pytest.raises(openai.RateLimitError):
            await hear("voice.ogg")
    assert (sandbox.model.hearing.calls[0].language, sandbox.model.hearing.calls[0].data) == ("en", b"good morning")
