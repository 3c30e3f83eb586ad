"""Tools, pictures and the cache: what goes over each wire and comes back, one contract for all."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from config.schema import LlmSection
from config.vocabulary import Role, Secret
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from workers.clock import ManualClock, SystemClock
from workers.errors import AnswerUnusable, ProviderRefused, ProviderUnavailable, RequestRefused
from workers.http import Http
from workers.llm import PROVIDERS, Providers
from workers.llm.base import Completion, CompletionRequest, Image, Message, Provider, ToolCall, ToolSpec
from workers.llm.completions import Gathering as Completions
from workers.llm.messages import Gathering as Messages
from workers.llm.messages import read_whole
from workers.llm.refusals import Refusals, retry_after_s

pytestmark = pytest.mark.anyio

WEATHER = ToolSpec("weather", "Weather of a city.", {"type": "object", "properties": {"city": {"type": "string"}}})
CLOCK = ToolSpec("clock", "", {"type": "object", "properties": {}})
PIXEL = Image("image/png", b"\x89PNG" + bytes(2000))
ASKED = 'call weather {"city": "Рига"}\ncall clock'


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    http = Http()
    yield http
    await http.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        yield double


def made(name: str, sandbox: Sandbox, http: Http) -> Provider:
    url = "" if name == "echo" else sandbox.model_url
    section = LlmSection(provider=name, model="double", base_url=url, api_key=Secret("k"))
    return Providers(http, SystemClock()).get(section)


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest, sandbox: Sandbox, http: Http) -> Provider:
    return made(request.param, sandbox, http)


def asking(*messages: Message, tools: tuple[ToolSpec, ...] = (), **more: Any) -> CompletionRequest:
    options = {"call": "call"} if more.pop("echo", False) else {}
    return CompletionRequest("double", messages, tools=tools, options=options, **more)


def user(text: str, *images: Image) -> Message:
    return Message(Role.USER, text, images=images)


async def whole(provider: Provider, request: CompletionRequest) -> Completion:
    return await provider.complete(request)


async def streamed(provider: Provider, request: CompletionRequest) -> Completion:
    chunks = [chunk async for chunk in provider.stream(request)]
    assert chunks[-1].completion is not None
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].completion.text
    return chunks[-1].completion


Ask = Callable[[Provider, CompletionRequest], Awaitable[Completion]]
both = pytest.mark.parametrize("ask", [whole, streamed])


@both
async def test_calls_come_back_with_names_and_arguments(sandbox: Sandbox, provider: Provider, ask: Ask) -> None:
    """Two at once, whole or in pieces, with no text beside them; their results go out and are answered."""
    sandbox.model.script_calls(("weather", '{"city": "Рига"}'), ("clock", "{}"))
    echo = type(provider).__name__ == "EchoProvider"
    completion = await ask(provider, asking(user(ASKED), tools=(WEATHER, CLOCK), echo=echo))
    assert completion.finish_reason == "tool_calls"
    assert completion.text == ""
    calls = completion.tool_calls
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("weather", {"city": "Рига"}), ("clock", {})]
    assert len({call.id for call in calls}) == 2
    said = Message(Role.ASSISTANT, "", tool_calls=calls)
    results = [Message(Role.TOOL, f"r{n}", tool_call_id=call.id) for n, call in enumerate(calls)]
    sandbox.model.script("r0\nr1")
    for tools in ((WEATHER, CLOCK), ()):
        asked = asking(user(ASKED), said, *results, tools=tools, echo=echo)
        assert (await ask(provider, asked)).text == "r0\nr1"
        sandbox.model.script("r0\nr1")


@both
@pytest.mark.parametrize("name", ["anthropic", "openai"])
async def test_words_beside_calls_are_kept(sandbox: Sandbox, http: Http, name: str, ask: Ask) -> None:
    """A model may say something and call."""
    sandbox.model.script_calls(("clock", "{}"), text="Let me see.")
    completion = await ask(made(name, sandbox, http), asking(user("time?"), tools=(CLOCK,)))
    assert (completion.text, completion.tool_calls[0].name) == ("Let me see.", "clock")


@both
@pytest.mark.parametrize("name", ["anthropic", "openai"])
async def test_calls_nobody_offered_are_no_answer(sandbox: Sandbox, http: Http, name: str, ask: Ask) -> None:
    """They are left out, and a completion of nothing else is worth another try."""
    remote = made(name, sandbox, http)
    sandbox.model.script_calls(("clock", "{}"))
    with pytest.raises(AnswerUnusable):
        await ask(remote, asking(user("x")))
    sandbox.model.script_calls(("clock", "{}"), text="Yes.")
    assert (await ask(remote, asking(user("x")))).tool_calls == ()


async def test_echo_calls_only_when_told_to(sandbox: Sandbox, http: Http) -> None:
    """Without the option, or without tools, a line that looks like a call is echoed; a call without arguments has {}."""
    echo = made("echo", sandbox, http)
    assert (await echo.complete(asking(user(ASKED), tools=(WEATHER,)))).text == ASKED
    assert (await echo.complete(asking(user(ASKED), echo=True))).text == ASKED
    [call] = (await echo.complete(asking(user("call  clock"), tools=(CLOCK,), echo=True))).tool_calls
    assert (call.name, call.arguments) == ("clock", "{}")


# --- pictures ---------------------------------------------------------------------------------------------------


async def test_pictures_go_out_in_each_apis_form(sandbox: Sandbox, http: Http) -> None:
    """With the words of their message; a picture alone needs none. Echo tells their sizes."""
    data = b64encode(PIXEL.data).decode()
    await made("openai", sandbox, http).complete(asking(user("what?", PIXEL)))
    assert sandbox.model.calls[-1].messages[0]["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    ]
    await made("anthropic", sandbox, http).complete(asking(user("what?", PIXEL)))
    assert sandbox.model.calls[-1].messages[0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "text", "text": "what?"},
    ]
    assert (await made("echo", sandbox, http).complete(asking(user("", PIXEL)))).text == "[picture 2 kB]"
    for name in ("openai", "anthropic"):
        sandbox.model.script("a pixel")
        assert (await made(name, sandbox, http).complete(asking(user("", PIXEL)))).text == "a pixel"


# --- anthropic --------------------------------------------------------------------------------------------------


async def test_what_stays_the_same_is_marked_for_the_cache(sandbox: Sandbox, http: Http) -> None:
    """Tools and the first system text end in a breakpoint; what changes behind it does not spoil it."""
    system = [Message(Role.SYSTEM, "Be kind."), Message(Role.SYSTEM, " "), Message(Role.SYSTEM, "Before: much.")]
    await made("anthropic", sandbox, http).complete(asking(*system, user("hi"), tools=(WEATHER, CLOCK)))
    body = sandbox.model.calls[-1].body
    kept = {"cache_control": {"type": "ephemeral"}}
    assert body["system"] == [
        {"type": "text", "text": "Be kind.", **kept},
        {"type": "text", "text": "Before: much."},
    ]
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, kept["cache_control"]]
    assert body["max_tokens"] == 4096


async def test_turns_alternate_and_results_of_calls_go_together(sandbox: Sandbox, http: Http) -> None:
    """What one side says in a row is one message; a garbled argument goes back as none."""
    calls = (ToolCall("a", "clock", "{}"), ToolCall("b", "clock", "{nonsense"))
    await made("anthropic", sandbox, http).complete(
        asking(
            user("one"), user("two"), Message(Role.ASSISTANT, " ", tool_calls=calls),
            Message(Role.TOOL, "12", tool_call_id="a"), Message(Role.TOOL, "13", tool_call_id="b"), user("and?"),
        )
    )  # fmt: skip
    body = sandbox.model.calls[-1].body
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert [block["input"] for block in body["messages"][1]["content"]] == [{}, {}]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    assert body["tool_choice"] == {"type": "none"}


async def test_options_of_anthropic_and_what_they_replace(sandbox: Sandbox, http: Http) -> None:
    """A limit and a temperature there come first; the messages and the form stay ours."""
    options = {"max_tokens": 5, "temperature": 0.1, "system": "evil", "stream": True, "messages": [], "top_k": 3}
    request = CompletionRequest("double", (user("hi"),), 0.9, 100, options=options)
    assert (await made("anthropic", sandbox, http).complete(request)).text == "hi"
    body = sandbox.model.calls[-1].body
    messages = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert body == {"max_tokens": 5, "temperature": 0.1, "top_k": 3, "model": "double", "messages": messages}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("end_turn", "stop"), ("max_tokens", "length"), ("pause_turn", "pause_turn"), (None, "stop")],
)
def test_reasons_are_told_in_one_language(reason: str | None, expected: str) -> None:
    """Whoever reads a completion need not know which API it came by."""
    body = {"content": [{"type": "thinking"}, {"type": "text", "text": "a"}, 7], "stop_reason": reason, "usage": None}
    assert read_whole(json.dumps(body).encode(), "m", Refusals()).finish_reason == expected


def test_a_model_that_will_not_answer_is_not_asked_again() -> None:
    """A refusal without words is one of the request; nothing at all is worth another try."""
    body = {"content": [], "stop_reason": "refusal"}
    with pytest.raises(RequestRefused, match="refuses"):
        read_whole(json.dumps(body).encode(), "m", Refusals())
    with pytest.raises(AnswerUnusable, match="max_output_tokens"):
        read_whole(json.dumps({**body, "stop_reason": "max_tokens"}).encode(), "m", Refusals())


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"content":{}}', b'{"type":"error"}', b'{"content":[{"text":7}]}'])
def test_a_body_of_another_shape_is_an_outage(body: bytes) -> None:
    """Whatever stands where an answer should be."""
    with pytest.raises(ProviderUnavailable):
        read_whole(body, "m", Refusals())


# --- errors and hints -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (404, {"type": "not_found_error", "message": "model: claude-9"}, ProviderRefused),
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low"}, ProviderRefused),
        (400, {"message": "no such model", "code": "model_not_found"}, ProviderRefused),
        (400, {"message": "unknown", "param": "model", "code": ["odd"]}, ProviderRefused),
        (400, {"type": "invalid_request_error", "message": "prompt is too long"}, RequestRefused),
        (413, {"type": "request_too_large", "message": "too large"}, RequestRefused),
        (529, {"type": "overloaded_error", "message": "Overloaded"}, ProviderUnavailable),
    ],
)
def test_refusals_of_the_model_are_told_from_those_of_the_request(
    status: int, error: dict[str, Any], kind: type[Exception]
) -> None:
    """Of the model's name or the account: another model may answer. Of the request: nobody will."""
    raw = json.dumps({"type": "error", "error": error}).encode()
    told = [Refusals().of_status(status, {}, raw, 0.0)]
    if "credit" not in error["message"]:  # in mid-stream there is no status
        told.append(Refusals().of_object(error if status != 400 or "type" in error else {**error, "code": 400} | error))
    assert [type(each) for each in told] == [kind] * len(told)


def test_when_an_allowance_is_full_again_is_told_as_a_moment_too() -> None:
    """Anthropic's headers; only those of what is used up count."""
    headers = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:27Z",
        "anthropic-ratelimit-tokens-remaining": "9",
        "anthropic-ratelimit-tokens-reset": "2023-11-14T23:13:27Z",
    }
    assert retry_after_s(headers, 1_700_000_000.0) == 7.0
    assert retry_after_s({**headers, "anthropic-ratelimit-requests-reset": "soon"}, 0.0) is None


# --- calls in pieces --------------------------------------------------------------------------------------------


def gathered(*deltas: Any) -> tuple[ToolCall, ...]:
    gathering = Completions("m", Refusals())
    for delta in deltas:
        gathering.add(json.dumps({"choices": [{"delta": {"tool_calls": delta}}]}).encode())
    gathering.add(b"[DONE]")
    return gathering.completion().tool_calls


def piece(arguments: object = None, **more: object) -> dict[str, object]:
    function = {"name": more.pop("name", None), "arguments": arguments}
    return {"function": {key: value for key, value in function.items() if value is not None}, **more}


def test_pieces_of_calls_find_their_call() -> None:
    """By index, by id where a server gives no index or the same to all, and as whole objects."""
    by_index = gathered(
        [piece("", name="a", index=0, id="x"), piece("", name="b", index=1, id="y")],
        [piece('{"n":', index=1)], [piece("{}", index=0)], [piece("1}", index=1)],
    )  # fmt: skip
    assert by_index == (ToolCall("x", "a", "{}"), ToolCall("y", "b", '{"n":1}'))
    same = gathered([piece("{}", name="a", index=0, id="x")], [piece({"n": 1}, name="b", index=0, id="y")])
    assert same == (ToolCall("x", "a", "{}"), ToolCall("y", "b", '{"n": 1}'))
    assert gathered([piece("{}", name="a")], None, [None, 7]) == (ToolCall("call_0", "a", "{}"),)


def test_calls_without_end_are_given_up() -> None:
    """Neither their number nor their arguments fill our memory."""
    with pytest.raises(AnswerUnusable, match="calls"):
        gathered(*[[piece(name="a", index=n, id=str(n))] for n in range(200)])
    with pytest.raises(AnswerUnusable, match="does not end"):
        gathered([piece(name="a", index=0)], *[[piece("x" * 500_000, index=0)]] * 9)


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}}],
        [{"type": "content_block_delta", "delta": None}, {"type": "content_block_start"}, {"type": "message_start"}],
        [{"type": "message_delta", "delta": {"stop_reason": ["x"]}, "usage": {"output_tokens": "7"}}],
    ],
)
def test_events_of_odd_shapes_are_passed_over(events: list[dict[str, Any]]) -> None:
    """Pieces of a call that never began, and fields that are not there, disturb nothing."""
    gathering = Messages("m", Refusals())
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
    for event in (*events, said, {"type": "message_stop"}):
        gathering.add(json.dumps(event).encode())
    assert gathering.completion().text == "hi"


async def test_pieces_of_an_echo_may_take_their_time(http: Http, clock: ManualClock) -> None:
    """piece_delay_s passes between pieces, within the limit of the whole."""
    echo = Providers(http, clock).get(LlmSection(provider="echo"))
    heard: list[str] = []

    async def listen() -> None:
        request = CompletionRequest("m", (user("x" * 40),), options={"piece_delay_s": 5})
        async for chunk in echo.stream(request):
            heard.append(chunk.text)

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await eventually(lambda: heard == ["x" * 16])
        await clock.advance(5)
        await eventually(lambda: len(heard) == 2)
        await clock.advance(5)
        await eventually(lambda: heard == ["x" * 16, "x" * 16, "x" * 8, ""])
