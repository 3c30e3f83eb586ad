"""Pictures on their way to a model: large ones are made into text slice by slice, and others have their turn between."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator

import anyio
import pytest

from config.schema import LlmSection
from config.vocabulary import Role, Secret
from console.sandbox.server import Sandbox
from workers.clock import SystemClock
from workers.http import Http
from workers.llm import Providers
from workers.llm.base import CompletionRequest, Image, Message
from workers.llm.pictures import PLACE, SLICE_BYTES, SMALL_BYTES, Body, Flow

pytestmark = pytest.mark.anyio

LARGE = Image("image/png", bytes(range(256)) * 2000 + b"odd")
SMALL = Image("image/jpeg", b"\xff\xd8\xff!")


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    http = Http()
    yield http
    await http.close()


def text_of(*words: str) -> bytes:
    """A request in which each PLACE is a picture's."""
    return json.dumps({"said": [*words]}).encode()


@pytest.mark.parametrize("images", [(LARGE,), (SMALL, LARGE), (Image("image/png", b""), LARGE, SMALL)])
def test_a_body_is_what_it_would_be_at_once(images: tuple[Image, ...]) -> None:
    """To the byte, in order, of the length that was told; no piece is more than a slice."""
    body = Body(text_of("what?", *[f"data:{PLACE}" for _ in images], "end"), images)
    pieces = list(body.pieces())
    whole = text_of("what?", *[f"data:{b64encode(image.data).decode()}" for image in images], "end")
    assert b"".join(pieces) == whole
    assert body.size_bytes == len(whole)
    assert max(map(len, pieces)) <= SLICE_BYTES // 3 * 4


async def test_between_two_slices_others_have_their_turn() -> None:
    """One turn of the loop at least for each piece."""
    body, turns, done = Body(text_of(PLACE), (LARGE,)), 0, False

    async def count() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        flow = body.sent()
        assert isinstance(flow, Flow)
        pieces = [piece async for piece in flow]
        done = True
    assert len(pieces) > len(LARGE.data) / SLICE_BYTES
    assert turns >= len(pieces)


def test_a_small_body_goes_in_one() -> None:
    """As does one without pictures, however long."""
    assert isinstance(Body(text_of(PLACE), (SMALL,)).sent(), bytes)
    assert isinstance(Body(text_of("x" * SMALL_BYTES)).sent(), bytes)


@pytest.mark.parametrize("name", ["anthropic", "openai"])
async def test_large_pictures_arrive(http: Http, name: str) -> None:
    """Two of them, whole and in order; a question that holds anything at all is still the question."""
    async with Sandbox() as sandbox:
        section = LlmSection(provider=name, model="m", base_url=sandbox.model_url, api_key=Secret("k"))
        said = Message(Role.USER, 'which? "}\\ picture-', images=(LARGE, SMALL))
        later = Message(Role.USER, "or this?", images=(LARGE,))
        request = CompletionRequest("m", (said, Message(Role.ASSISTANT, "hm"), later))
        await Providers(http, SystemClock()).get(section).complete(request)
        [call] = sandbox.model.calls
        assert call.images == [(image.media_type, image.data) for image in (LARGE, SMALL, LARGE)]
        assert call.question.strip() == "or this?"
