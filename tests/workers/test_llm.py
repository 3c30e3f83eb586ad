"""Every provider keeps one contract; `openai` reads a real server as the official client does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from config.schema import LlmSection
from config.vocabulary import Role, Secret
from console.sandbox.completions import Counted
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from workers.clock import ManualClock, SystemClock
from workers.errors import ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.http import Http
from workers.llm import PROVIDERS, Providers
from workers.llm.base import Completion, CompletionRequest, Message, Provider

pytestmark = pytest.mark.anyio

KEY = "sk-test-0123456789abcdef"
TEXTS = [
    "hello",
    "два слова",
    "🧑‍🚀 and 日本語",
    "line one\nline two\n\n```python\nx = 1\n```",
    'quotes " and \\ back',
    "a" * 5000,
]


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    http = Http()
    yield http
    await http.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        yield double


def asking(text: str, **more: object) -> CompletionRequest:
    messages = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, text))
    return CompletionRequest(model="double", messages=messages, **more)  # type: ignore[arg-type]


def openai_section(sandbox: Sandbox) -> LlmSection:
    return LlmSection(provider="openai", model="double", base_url=sandbox.model_url, api_key=Secret(KEY))


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest, sandbox: Sandbox, http: Http) -> Provider:
    section = LlmSection(provider="echo") if request.param == "echo" else openai_section(sandbox)
    return Providers(http, SystemClock()).get(section)


@pytest.fixture
def openai(sandbox: Sandbox, http: Http) -> Provider:
    return Providers(http, SystemClock()).get(openai_section(sandbox))


async def whole(provider: Provider, request: CompletionRequest) -> Completion:
    return await provider.complete(request)


async def streamed(provider: Provider, request: CompletionRequest) -> Completion:
    pieces = [chunk async for chunk in provider.stream(request)]
    assert pieces[-1].completion is not None
    assert "".join(p.text for p in pieces) == pieces[-1].completion.text
    return pieces[-1].completion


Ask = Callable[[Provider, CompletionRequest], Awaitable[Completion]]
both = pytest.mark.parametrize("ask", [whole, streamed])


@both
@pytest.mark.parametrize("text", TEXTS)
async def test_any_text_comes_back_whole(provider: Provider, ask: Ask, text: str) -> None:
    """What the model says arrives to the letter, with tokens counted and the model named."""
    completion = await ask(provider, asking(text))
    assert completion.text == text
    assert completion.model == "double"
    assert completion.usage.output_tokens == len(text.split())
    assert completion.finish_reason == "stop"


@both
async def test_many_at_once_do_not_mix(provider: Provider, ask: Ask) -> None:
    """Fifty questions at the same time get their own answers."""
    answers: dict[int, str] = {}

    async def one(n: int) -> None:
        answers[n] = (await ask(provider, asking(f"question {n}"))).text

    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(one, n)
    assert answers == {n: f"question {n}" for n in range(50)}


async def test_bots_with_one_endpoint_and_key_share_a_provider_others_do_not(http: Http) -> None:
    """The cache key is provider, endpoint and key: no bot ever speaks with another's key."""
    providers = Providers(http, SystemClock())
    section = LlmSection(provider="openai", api_key=Secret(KEY))
    assert providers.get(section) is providers.get(section.model_copy(update={"temperature": 1.0}))
    assert providers.get(section) is not providers.get(section.model_copy(update={"api_key": Secret(KEY + "x")}))


async def test_an_unknown_provider_names_the_known(http: Http) -> None:
    """A provider that does not exist is refused with a list of those that do."""
    with pytest.raises(ProviderRefused, match=r"nobody.*echo, openai"):
        Providers(http, SystemClock()).get(LlmSection(provider="nobody"))


# --- echo -------------------------------------------------------------------------------------------------------


async def test_echo_waits_and_times_out_by_the_clock(http: Http, clock: ManualClock) -> None:
    """delay_s passes before the answer; beyond timeout_s it is a time-out."""
    echo = Providers(http, clock).get(LlmSection(provider="echo"))
    answers: list[object] = []

    async def ask(delay_s: float) -> None:
        try:
            answers.append((await echo.complete(asking("x", timeout_s=5.0, options={"delay_s": delay_s}))).text)
        except ProviderTimeout as error:
            answers.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, 3)
        group.start_soon(ask, 8)
        await clock.advance(2.9)
        assert answers == []
        await clock.advance(0.2)
        assert answers == ["x"]
        await clock.advance(2.0)
    assert isinstance(answers[1], ProviderTimeout)


@pytest.mark.parametrize("options", [{"fail_rate": 2}, {"delay_s": "long"}, {"delay": 1}, {"fail_rate": True}])
async def test_echo_refuses_options_it_does_not_understand(http: Http, options: dict[str, object]) -> None:
    """A wrong option is an error that names it, not a silent default."""
    echo = Providers(http, SystemClock()).get(LlmSection(provider="echo"))
    with pytest.raises(ProviderRefused, match=next(iter(options))):
        await echo.complete(asking("x", options=options))


async def test_echo_fails_when_asked_to(http: Http) -> None:
    """fail_rate = 1 fails every call."""
    echo = Providers(http, SystemClock()).get(LlmSection(provider="echo"))
    with pytest.raises(ProviderUnavailable):
        await echo.complete(asking("x", options={"fail_rate": 1}))


# --- openai -----------------------------------------------------------------------------------------------------


@both
async def test_the_request_is_what_the_server_needs(sandbox: Sandbox, openai: Provider, ask: Ask) -> None:
    """Roles, parameters, options and the key go out; options cannot replace the messages."""
    request = asking("hi", temperature=0.5, max_output_tokens=7, options={"seed": 3, "messages": []})
    await ask(openai, request)
    call = sandbox.model.calls[-1]
    assert call.authorization == f"Bearer {KEY}"
    assert call.body["temperature"] == 0.5
    assert call.body["max_tokens"] == 7
    assert call.body["seed"] == 3
    assert [m["role"] for m in call.body["messages"]] == ["system", "user"]


@pytest.mark.parametrize("text", TEXTS)
async def test_the_official_client_reads_the_same(sandbox: Sandbox, openai: Provider, text: str) -> None:
    """The openai SDK and ours agree on text, tokens and finish reason, streamed and not."""
    from openai import AsyncOpenAI

    sandbox.model.usage = Counted(11, 7)
    ours = [await whole(openai, asking(text)), await streamed(openai, asking(text))]
    async with AsyncOpenAI(base_url=sandbox.model_url, api_key=KEY, max_retries=0) as client:
        messages = [{"role": "user", "content": text}]
        plain = await client.chat.completions.create(model="double", messages=messages)
        pieces, usage, finish = [], None, None
        async for chunk in await client.chat.completions.create(
            model="double", messages=messages, stream=True, stream_options={"include_usage": True}
        ):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                pieces.append(choice.delta.content or "")
                finish = choice.finish_reason or finish
    theirs = [(plain.choices[0].message.content, plain.choices[0].finish_reason), ("".join(pieces), finish)]
    assert [(c.text, c.finish_reason) for c in ours] == theirs
    assert [(c.usage.input_tokens, c.usage.output_tokens) for c in ours] == [(11, 7)] * 2
    assert (plain.usage.prompt_tokens, usage.completion_tokens) == (11, 7)


@both
@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("unauthorized", {}, ProviderRefused),
        ("forbidden", {}, ProviderRefused),
        ("not_found", {}, ProviderRefused),
        ("bad_request", {}, ProviderRefused),
        ("flood", {"retry_after": 3}, ProviderUnavailable),
        ("server_error", {"status": 500}, ProviderUnavailable),
        ("server_error", {"status": 503, "html": True}, ProviderUnavailable),
        ("reset", {}, ProviderUnavailable),
        ("garbage", {"form": "html"}, ProviderUnavailable),
        ("garbage", {"form": "empty"}, ProviderUnavailable),
        ("garbage", {"form": "truncated"}, ProviderUnavailable),
        ("cut", {}, ProviderUnavailable),
        ("malformed_chunk", {}, ProviderUnavailable),
    ],
)
async def test_every_fault_of_the_server_has_its_error(
    sandbox: Sandbox, openai: Provider, ask: Ask, kind: str, options: dict[str, object], expected: type[ProviderError]
) -> None:
    """Refusals are final, outages may be tried again; no error text holds the key."""
    sandbox.model.faults.fail("chat", kind, **options)
    with pytest.raises(expected) as caught:
        await ask(openai, asking("one two three four five six"))
    assert KEY not in repr(caught.value) + str(caught.value)
    assert caught.value.retry_after_s == (3 if kind == "flood" else None)
    assert (await ask(openai, asking("again"))).text == "again"


async def test_an_error_inside_a_stream_is_a_failure(sandbox: Sandbox, openai: Provider) -> None:
    """A server that breaks off with an error object in mid-answer gave no answer."""
    sandbox.model.faults.fail("chat", "error_chunk")
    with pytest.raises(ProviderUnavailable):
        await streamed(openai, asking("one two three four"))


@both
async def test_an_empty_answer_is_a_failure(sandbox: Sandbox, openai: Provider, ask: Ask) -> None:
    """Nothing, or only blanks, is not an answer anybody can be sent."""
    sandbox.model.script("  \n")
    with pytest.raises(ProviderUnavailable, match="answered nothing"):
        await ask(openai, asking("x"))


@both
async def test_a_silent_server_is_a_timeout(sandbox: Sandbox, http: Http, clock: ManualClock, ask: Ask) -> None:
    """The whole call is bounded, by the clock held in hand."""
    sandbox.model.faults.fail("chat", "hang")
    openai = Providers(http, clock).get(openai_section(sandbox))
    errors: list[BaseException] = []

    async def one() -> None:
        with pytest.raises(ProviderTimeout) as caught:
            await ask(openai, asking("x", timeout_s=30.0))
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await eventually(lambda: sandbox.model.call_count == 1)
        await clock.advance(29)
        assert not errors
        await clock.advance(2)
        await eventually(lambda: errors)


@both
async def test_cancelling_closes_the_connection(sandbox: Sandbox, http: Http, openai: Provider, ask: Ask) -> None:
    """A cancelled call leaves no connection behind in the pool's use."""
    sandbox.model.faults.fail("chat", "hang")
    async with anyio.create_task_group() as group:
        group.start_soon(ask, openai, asking("x"))
        await sandbox.model.called(1)
        group.cancel_scope.cancel()
    connector = http.session.connector
    assert connector is not None
    assert len(connector._acquired) == 0
    assert (await ask(openai, asking("next"))).text == "next"


async def test_nobody_there(http: Http) -> None:
    """A refused connection says host and port."""
    section = LlmSection(provider="openai", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:9"):
        await Providers(http, SystemClock()).get(section).complete(asking("x"))
