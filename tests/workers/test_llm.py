"""Every provider keeps one contract, over every wire; `openai` reads a real server as the official client does."""

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
from workers.errors import AnswerUnusable, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.http import Http
from workers.llm import PROVIDERS, Providers
from workers.llm.base import Completion, CompletionRequest, Message, Provider, Usage

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


def section_of(name: str, sandbox: Sandbox) -> LlmSection:
    if name == "echo":
        return LlmSection(provider="echo")
    return LlmSection(provider=name, model="double", base_url=sandbox.model_url, api_key=Secret(KEY))


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest, sandbox: Sandbox, http: Http) -> Provider:
    return Providers(http, SystemClock()).get(section_of(request.param, sandbox))


@pytest.fixture(params=["anthropic", "openai"])
def section(request: pytest.FixtureRequest, sandbox: Sandbox) -> LlmSection:
    """A model at the other end of a wire."""
    return section_of(request.param, sandbox)


@pytest.fixture
def remote(section: LlmSection, http: Http) -> Provider:
    return Providers(http, SystemClock()).get(section)


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
    with pytest.raises(ProviderRefused, match=r"nobody.*anthropic, echo, openai"):
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


# --- over a wire ------------------------------------------------------------------------------------------------


@both
async def test_the_request_is_what_the_server_needs(sandbox: Sandbox, remote: Provider, ask: Ask) -> None:
    """Roles, parameters, options and the key go out; options cannot replace the messages."""
    request = asking("hi", temperature=0.5, max_output_tokens=7, options={"seed": 3, "messages": []})
    await ask(remote, request)
    call = sandbox.model.calls[-1]
    assert call.api_key == KEY
    assert call.body["temperature"] == 0.5
    assert call.body["max_tokens"] == 7
    assert call.body["seed"] == 3
    assert [m["role"] for m in call.messages if m["role"] != "system"] == ["user"]
    assert call.told() == 3


@pytest.mark.parametrize("text", TEXTS)
async def test_the_official_client_reads_the_same(sandbox: Sandbox, http: Http, text: str) -> None:
    """The openai SDK and ours agree on text, tokens and finish reason, streamed and not."""
    from openai import AsyncOpenAI

    remote = Providers(http, SystemClock()).get(section_of("openai", sandbox))
    sandbox.model.usage = Counted(11, 7)
    ours = [await whole(remote, asking(text)), await streamed(remote, asking(text))]
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
        ("server_error", {"status": 529}, ProviderUnavailable),
        ("cut", {}, ProviderUnavailable),
        ("truncate", {}, ProviderUnavailable),
        ("malformed_chunk", {}, ProviderUnavailable),
    ],
)
async def test_every_fault_of_the_server_has_its_error(
    sandbox: Sandbox, remote: Provider, ask: Ask, kind: str, options: dict[str, object], expected: type[ProviderError]
) -> None:
    """Refusals are final, outages may be tried again; no error text holds the key."""
    sandbox.model.faults.fail("chat", kind, **options)
    with pytest.raises(expected) as caught:
        await ask(remote, asking("one two three four five six"))
    assert KEY not in repr(caught.value) + str(caught.value)
    assert caught.value.retry_after_s == (3 if kind == "flood" else None)
    assert (await ask(remote, asking("again"))).text == "again"


async def test_an_error_inside_a_stream_is_a_failure(sandbox: Sandbox, remote: Provider) -> None:
    """A server that breaks off with an error object in mid-answer gave no answer."""
    sandbox.model.faults.fail("chat", "error_chunk")
    with pytest.raises(ProviderUnavailable):
        await streamed(remote, asking("one two three four"))


@both
async def test_an_empty_answer_is_a_failure(sandbox: Sandbox, remote: Provider, ask: Ask) -> None:
    """Nothing, or only blanks, is not an answer anybody can be sent."""
    sandbox.model.script("  \n")
    with pytest.raises(ProviderUnavailable, match="answered nothing"):
        await ask(remote, asking("x"))


@both
async def test_a_silent_server_is_a_timeout(
    sandbox: Sandbox, section: LlmSection, http: Http, clock: ManualClock, ask: Ask
) -> None:
    """The whole call is bounded, by the clock held in hand."""
    sandbox.model.faults.fail("chat", "hang")
    remote = Providers(http, clock).get(section)
    errors: list[BaseException] = []

    async def one() -> None:
        with pytest.raises(ProviderTimeout) as caught:
            await ask(remote, asking("x", timeout_s=30.0))
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await eventually(lambda: sandbox.model.call_count == 1)
        await clock.advance(29)
        assert not errors
        await clock.advance(2)
        await eventually(lambda: errors)


@both
async def test_cancelling_closes_the_connection(sandbox: Sandbox, http: Http, remote: Provider, ask: Ask) -> None:
    """A cancelled call leaves no connection behind in the pool's use."""
    sandbox.model.faults.fail("chat", "hang")
    async with anyio.create_task_group() as group:
        group.start_soon(ask, remote, asking("x"))
        await sandbox.model.called(1)
        group.cancel_scope.cancel()
    connector = http.session.connector
    assert connector is not None
    assert len(connector._acquired) == 0
    assert (await ask(remote, asking("next"))).text == "next"


async def test_nobody_there(section: LlmSection, http: Http) -> None:
    """A refused connection says host and port."""
    section = section.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:9"):
        await Providers(http, SystemClock()).get(section).complete(asking("x"))


@both
@pytest.mark.parametrize("kind", ["gzip", "wrong_type"])
async def test_a_good_answer_in_odd_packing_is_taken(sandbox: Sandbox, remote: Provider, ask: Ask, kind: str) -> None:
    """Compressed, or under a content type that is not its own."""
    sandbox.model.faults.fail("chat", kind)
    assert (await ask(remote, asking("one two three"))).text == "one two three"
    assert sandbox.model.faults.struck("chat") == 1


@both
async def test_an_answer_without_end_is_left(sandbox: Sandbox, http: Http, remote: Provider, ask: Ask) -> None:
    """It is given up at a bound, not gathered until the memory is full; the server is there all the same."""
    sandbox.model.faults.fail("chat", "endless")
    with pytest.raises(AnswerUnusable):
        await ask(remote, asking(f"{'x' * 500_000} {'y' * 10_000}"))
    connector = http.session.connector
    assert connector is not None
    assert len(connector._acquired) == 0


@both
async def test_usage_holds_what_came_from_the_cache(sandbox: Sandbox, remote: Provider, ask: Ask) -> None:
    """input_tokens counts all that was read, cached_tokens those of them that were cheaper."""
    sandbox.model.usage = Counted(100, 7, 80)
    assert (await ask(remote, asking("hi"))).usage == Usage(100, 7, 80)


@pytest.mark.parametrize(("after_pieces", "last"), [(0, "the model said nothing within 10 s"), (1, "three")])
async def test_the_first_token_has_a_deadline_of_its_own(
    sandbox: Sandbox, section: LlmSection, http: Http, clock: ManualClock, after_pieces: int, last: str
) -> None:
    """A server that greets and then says nothing is given up after first_token_timeout_s; later pauses are not."""
    remote = Providers(http, clock).get(section)
    request = asking("one two three", timeout_s=60.0, first_token_timeout_s=10.0)
    heard: list[str] = []

    async def one() -> None:
        try:
            async for chunk in remote.stream(request):
                heard.append(chunk.text)
        except ProviderTimeout as error:
            heard.append(error.message)

    fault = sandbox.model.faults.fail("chat", "hold_between", after_pieces=after_pieces)
    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await fault.reached()
        await eventually(lambda: len(heard) == after_pieces)
        await clock.advance(9.9)
        assert len(heard) == after_pieces
        await clock.advance(0.2)
        fault.release()
        await eventually(lambda: last in heard)
