"""The model double speaks OpenAI's wire format, so that the official SDK understands its answers and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest

from console.sandbox.completions import Counted
from console.sandbox.model import Model
from console.sandbox.server import Sandbox
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

ASK = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three four"}]


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock) as running:
        yield running


@pytest.fixture
def model(sandbox: Sandbox) -> Model:
    return sandbox.model


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=sandbox.model_url, api_key="key", max_retries=0) as sdk:
        yield sdk


async def whole(client: openai.AsyncOpenAI) -> str:
    answer = await client.chat.completions.create(model="m", messages=ASK)
    return answer.choices[0].message.content


async def streamed(client: openai.AsyncOpenAI, pieces: list[str]) -> str:
    """Collect into pieces as they come, so that what arrived before a fault is seen."""
    stream = await client.chat.completions.create(model="m", messages=ASK, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            pieces.append(chunk.choices[0].delta.content)
    return "".join(pieces)


async def test_it_echoes_and_counts(client: openai.AsyncOpenAI, model: Model) -> None:
    """Unscripted it answers the last question, with the number of words as usage."""
    answer = await client.chat.completions.create(model="m", messages=ASK, temperature=0.5)
    assert answer.choices[0].message.content == "one two three four"
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", "m")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 4)
    [call] = model.calls
    assert (call.question, call.stream, call.body["temperature"]) == ("one two three four", False, 0.5)


async def test_it_streams_word_by_word(client: openai.AsyncOpenAI, model: Model) -> None:
    """A stream brings a piece per word, the reason at the end, and usage where it was asked for."""
    model.usage = Counted(12, 7, 4)
    stream = await client.chat.completions.create(
        model="m", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert [chunk.choices[0].delta.content for chunk in chunks[1:5]] == ["one ", "two ", "three ", "four"]
    assert chunks[-2].choices[0].finish_reason == "stop"
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details.cached_tokens) == (12, 7, 4)


async def test_scripted_answers_come_first(client: openai.AsyncOpenAI, model: Model) -> None:
    """`script` answers in order, then `answer` takes over."""
    model.script("first", "second")
    model.answer = lambda call: f"{len(call.messages)} messages"
    assert [await whole(client) for _ in range(3)] == ["first", "second", "2 messages"]
    assert model.answered == 3


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    """GET /v1/models names what there is."""
    assert "sandbox-small" in [model.id for model in (await client.models.list()).data]


async def test_a_delay_is_held_in_hand(client: openai.AsyncOpenAI, model: Model, clock: ManualClock) -> None:
    """delay_s and piece_delay_s pass on the sandbox's clock."""
    model.delay_s = model.piece_delay_s = 10
    pieces: list[str] = []
    asking = asyncio.create_task(streamed(client, pieces))
    await model.called()
    await clock.advance(9)
    assert model.answered == 0
    while not asking.done():
        await clock.advance(10)
    assert await asking == "one two three four"


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("unauthorized", {}, openai.AuthenticationError),
        ("forbidden", {}, openai.PermissionDeniedError),
        ("not_found", {}, openai.NotFoundError),
        ("bad_request", {}, openai.BadRequestError),
        ("flood", {"retry_after": 4}, openai.RateLimitError),
        ("server_error", {"status": 503}, openai.InternalServerError),
        ("reset", {}, openai.APIConnectionError),
        ("close", {}, openai.APIConnectionError),
        ("lost_reply", {}, openai.APIConnectionError),
        ("cut", {}, openai.APIConnectionError),
        ("garbage", {"form": "cut"}, openai.APIConnectionError),
    ],
)
async def test_the_official_sdk_meets_each_fault(
    client: openai.AsyncOpenAI, model: Model, kind: str, options: dict[str, object], error: type[Exception]
) -> None:
    """Each fault is the SDK's matching error, once."""
    model.faults.fail("chat", kind, **options)
    with pytest.raises(error) as caught:
        await whole(client)
    if isinstance(caught.value, openai.RateLimitError):
        assert caught.value.response.headers["Retry-After"] == "4"
    assert await whole(client) == "one two three four"
    assert model.call_count == 2
    assert model.answered == (2 if kind in {"lost_reply", "cut"} else 1)


async def test_a_stream_breaks_in_the_middle(client: openai.AsyncOpenAI, model: Model) -> None:
    """`cut`, `malformed_chunk` and `error_chunk` strike after some words have gone out."""
    for kind, error in (
        ("cut", openai.APIConnectionError),
        ("malformed_chunk", ValueError),
        ("error_chunk", openai.APIError),
    ):
        pieces: list[str] = []
        model.faults.fail("chat", kind, after_pieces=2)
        with pytest.raises(error):
            await streamed(client, pieces)
        assert pieces == ["one ", "two "], kind


async def test_hold_between_keeps_a_stream(client: openai.AsyncOpenAI, model: Model) -> None:
    """`hold_between` stops in the middle of the answer until released."""
    fault = model.faults.fail("chat", "hold_between", after_pieces=1)
    pieces: list[str] = []
    asking = asyncio.create_task(streamed(client, pieces))
    await model.faults.reached("chat")
    assert not asking.done()
    fault.release()
    assert await asking == "one two three four"


@pytest.mark.parametrize(("kind", "answered"), [("hold", 0), ("hold_after", 1)])
async def test_hold_mid_model(client: openai.AsyncOpenAI, model: Model, kind: str, answered: int) -> None:
    """`hold` keeps a call before it is answered, `hold_after` once it is paid for."""
    fault = model.faults.fail("chat", kind)
    asking = asyncio.create_task(whole(client))
    await model.faults.reached("chat")
    assert model.answered == answered
    fault.release()
    assert await asking == "one two three four"


async def test_wrong_requests_are_refused(sandbox: Sandbox, client: openai.AsyncOpenAI, model: Model) -> None:
    """A wrong key, no model, no messages and an unknown address are refused as OpenAI does."""
    async with aiohttp.ClientSession() as session:

        async def status(path: str, body: object) -> int:
            async with session.post(sandbox.model_url + path, json=body) as answer:
                assert "message" in (await answer.json())["error"]
                return answer.status

        assert await status("/chat/completions", {"model": "m"}) == 400
        assert await status("/chat/completions", {"messages": ASK}) == 400
        assert await status("/embeddings", {}) == 404
    model.api_key = "another"
    with pytest.raises(openai.AuthenticationError):
        await whole(client)
    assert model.call_count == 0
