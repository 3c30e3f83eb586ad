"""Bots as models, asked by OpenAI's own client as it is."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.console.api_rig import Api, serving
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

MUTE = 'channel = "none"\n[llm]\nprovider = "openai"\nmodel = "m"\napi_key = "k-secret-123"\nbase_url = "http://127.0.0.1:9"\n'
PIXEL = base64.b64encode(b"\x89PNG\r\n" + b"x" * 3000).decode()


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f") as running:
        yield running


@pytest.fixture
async def client(api: Api) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key=await api.key("operate"), max_retries=0) as client:
        yield client


async def add_bot(api: Api, bot_id: str, text: str) -> None:
    (api.fleet.place.root / "bots" / f"{bot_id}.toml").write_text(text)
    await api.fleet.control.reload(actor="test")


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


async def ask(client: AsyncOpenAI, *messages: dict[str, Any], model: str = "echo", **more: Any) -> Any:
    return await client.chat.completions.create(model=model, messages=list(messages) or [user("hello")], **more)


async def test_an_answer_in_their_form(client: AsyncOpenAI) -> None:
    """The client's own types take it."""
    answer = await ask(client)
    assert answer.object == "chat.completion"
    assert (answer.model, answer.choices[0].message.content, answer.choices[0].finish_reason) == (
        "echo",
        "hello",
        "stop",
    )
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_the_synchronous_client(api: Api) -> None:
    """In a thread, whole and streamed."""
    key = await api.key("operate")

    def talk() -> tuple[str, str]:
        with OpenAI(base_url=f"{api.url}/v1", api_key=key, max_retries=0) as client:
            whole = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "hello"}])
            stream = client.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": "one two"}], stream=True
            )
            return whole.choices[0].message.content or "", "".join(c.choices[0].delta.content or "" for c in stream)

    assert await anyio.to_thread.run_sync(talk) == ("hello", "one two")


async def test_streamed(client: AsyncOpenAI) -> None:
    """A role, pieces that add up, a reason, and the usage where it is asked for: in a last chunk without choices."""
    words = " ".join(f"word{number}" for number in range(40))
    chunks = [c async for c in await ask(client, user(words), stream=True, stream_options={"include_usage": True})]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == words
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 40
    assert all(c.usage is None for c in chunks[:-1])
    assert len({c.id for c in chunks}) == 1
    without = [c async for c in await ask(client, stream=True)]
    assert all(c.usage is None for c in without)


async def test_what_is_given_is_the_history_and_nothing_is_remembered(api: Api, client: AsyncOpenAI) -> None:
    """The model gets the messages as they are, beside the bot's own prompt; nothing is stored but what it took."""
    alone = await ask(client, user("now"))
    with_history = await ask(
        client, {"role": "system", "content": "be brief"}, user("one two"), assistant("three"), user("now")
    )
    assert with_history.usage.prompt_tokens - alone.usage.prompt_tokens == 5
    again = await ask(client, user("now"))
    assert again.usage.prompt_tokens == alone.usage.prompt_tokens
    assert await api.fleet.control.conversations("echo") == []
    [spent] = await api.fleet.control.usage(["echo"], by="model", days=1)
    assert spent["calls"] == 3


@pytest.mark.parametrize("by_header", [False, True])
async def test_a_named_conversation_is_remembered(api: Api, client: AsyncOpenAI, by_header: bool) -> None:
    """By header or metadata: the last message is said in it, `user` is who says it."""
    more: dict[str, Any] = (
        {"extra_headers": {"X-Conversation-Id": "c9", "X-Client-Id": "acme"}}
        if by_header
        else {"metadata": {"conversation_id": "c9", "client_id": "acme"}}
    )
    first = await ask(client, user("one two three"), user="u1", **more)
    second = await ask(client, user("ignored"), assistant("ignored"), user("four"), user="u1", **more)
    assert second.usage.prompt_tokens - first.usage.prompt_tokens == 4
    [row] = await api.fleet.control.conversations("echo")
    assert (row["client_id"], row["conversation_id"], row["user_id"], row["turns"]) == ("acme", "c9", "u1", 2)


async def test_models_are_the_bots_that_answer(api: Api, client: AsyncOpenAI) -> None:
    """The folder's that run and the registered that are active; one by its id."""
    await add_bot(api, "asleep", 'channel = "none"\nenabled = false\n[llm]\nprovider = "echo"\n')
    await api.fleet.tenants.register("shoes", {"llm": {"provider": "echo"}}, {}, actor="test")
    assert [model.id async for model in client.models.list()] == ["echo", "shoes"]
    assert (await client.models.retrieve("shoes")).owned_by == "botdeck"
    assert (await ask(client, model="shoes")).choices[0].message.content == "hello"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


async def test_a_key_of_a_client_reaches_its_bots(api: Api) -> None:
    """Another client's bot is no model of its; another client cannot be named."""
    await add_bot(api, "theirs", 'channel = "none"\nclient_id = "globex"\n[llm]\nprovider = "echo"\n')
    key = await api.key("operate", "acme")
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key=key, max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == ["echo"]
        with pytest.raises(openai.NotFoundError):
            await ask(client, model="theirs")
        with pytest.raises(openai.PermissionDeniedError):
            await ask(client, extra_headers={"X-Client-Id": "globex", "X-Conversation-Id": "c"})
        await ask(client, extra_headers={"X-Conversation-Id": "c"})
    [row] = await api.fleet.control.conversations("echo")
    assert row["client_id"] == "acme"


async def test_errors_are_of_their_classes(api: Api, client: AsyncOpenAI) -> None:
    """Each by the status the client knows it by, with its message, parameter and code."""
    with pytest.raises(openai.NotFoundError, match="no such bot") as missing:
        await ask(client, model="nobody")
    assert (missing.value.code, missing.value.type) == ("model_not_found", "invalid_request_error")
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key="bdk_none", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as unknown:
            await ask(stranger)
    assert unknown.value.code == "invalid_api_key"
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key=await api.key("read"), max_retries=0) as reader:
        with pytest.raises(openai.PermissionDeniedError):
            await ask(reader)
    await add_bot(api, "mute", MUTE)
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError, match="no answer") as failed:
            await ask(client, model="mute", stream=stream)
        assert "127.0.0.1" not in str(failed.value.body)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"stop": ["x"]}, "stop"),
    ({"user": "a\nb"}, "user"),
    ({"metadata": {"conversation_id": "c" * 200}}, "metadata.conversation_id"),
    ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages"),
    ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
    ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages.0.role"),
    ({"messages": []}, "messages"),
]


async def test_what_a_bot_cannot_do_is_refused(client: AsyncOpenAI) -> None:
    """400 that names the parameter, rather than an answer that means something else."""
    for more, param in REFUSED:
        given = {"model": "echo", "messages": [user("hello")], **more}
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(**given)
        assert refused.value.param == param


async def test_what_only_tunes_an_answer_is_the_bots_own(client: AsyncOpenAI) -> None:
    """Temperature, limits, seeds: clients send them always; the bot's file says what counts."""
    answer = await ask(
        client, temperature=0.2, max_tokens=5, top_p=0.9, seed=7, presence_penalty=0.1, parallel_tool_calls=False
    )
    assert answer.choices[0].message.content == "hello"


async def test_parts_and_pictures(client: AsyncOpenAI) -> None:
    """Texts are joined, a data: URL is a picture the model sees; an address is not fetched."""
    parts = [
        {"type": "text", "text": "what is"},
        {"type": "text", "text": "this"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    answer = await ask(client, {"role": "user", "content": parts})
    assert answer.choices[0].message.content == "what is\nthis [picture 3 kB]"
    for url in ("http://127.0.0.1/x.png", "data:text/html;base64,eHg=", "data:image/png;base64,???"):
        with pytest.raises(openai.BadRequestError, match="picture"):
            await ask(client, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})


async def test_retries_wait_as_they_are_told(api: Api) -> None:
    """429 with Retry-After: the client waits and asks again by itself, and is answered when there is room."""
    await add_bot(api, "few", 'channel = "none"\n[llm]\nprovider = "echo"\n[limits]\nuser_per_min = 60\n')
    key = await api.key("operate")
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key=key, max_retries=0) as client:
        limited: openai.RateLimitError | None = None
        for _ in range(200):
            try:
                await ask(client, model="few", user="u")
            except openai.RateLimitError as error:
                limited = error
                break
    assert limited is not None
    assert int(limited.response.headers["retry-after"]) >= 1
    assert limited.code == "rate_limit_exceeded"
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key=key, max_retries=3) as patient:
        assert (await ask(patient, model="few", user="u")).choices[0].message.content == "hello"


async def test_who_leaves_a_stream_gives_the_answer_up(api: Api, client: AsyncOpenAI) -> None:
    """Closing the stream ends the turn."""
    await add_bot(api, "slow", 'channel = "none"\n[llm]\nprovider = "echo"\n[llm.options]\npiece_delay_s = 20\n')
    stream = await ask(client, user("x" * 100), model="slow", stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    bot = await api.fleet.tenants.bot("slow")
    assert bot.in_use == 1
    await stream.close()
    await eventually(lambda: bot.in_use == 0)
