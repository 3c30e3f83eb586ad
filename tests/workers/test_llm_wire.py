"""`openai` against exact bytes: what real servers and the networks before them do that no well-behaved double does."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Any, Self

import anyio
import pytest
from anyio.lowlevel import checkpoint

from config.schema import LlmSection
from config.vocabulary import Role, Secret
from tests.waiting import eventually
from workers.clock import ManualClock, SystemClock
from workers.errors import ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.http import Http
from workers.llm import KEPT, Providers
from workers.llm.base import Completion, CompletionRequest, Message, Provider, Usage
from workers.llm.refusals import retry_after_s

pytestmark = pytest.mark.anyio

KEY = "sk-test-0123456789abcdef"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


class Wire:
    """A server that answers every request with the same pieces of bytes, each in a packet of its own."""

    def __init__(self, *pieces: bytes, close: bool = False) -> None:
        self.pieces, self.close = pieces, close
        self.connections = self.open = 0
        self.requests: list[tuple[bytes, bytes]] = []
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.requests[-1][1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await eventually(lambda: not self.open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.append(writer)
        try:
            while True:
                await self._answer(reader, writer)
                if self.close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(n.split(b":")[1]) for n in head.lower().split(b"\r\n") if n.startswith(b"content-length"))
        self.requests.append((head, await reader.readexactly(size)))
        for piece in self.pieces:
            writer.write(piece)
            for _ in range(20):  # the other side takes it before the next one leaves
                await checkpoint()


def whole(body: object, status: str = "200 OK", **headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"{name.replace('_', '-')}: {value}" for name, value in {"Content_Type": "application/json", **headers}.items()
    ]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(raw)}", "", ""]).encode() + raw


def answer(content: object = "hello world", **more: object) -> dict[str, object]:
    return {"model": "m-1", "choices": [{"message": {"content": content, **more}, "finish_reason": "stop"}]}


def part(raw: bytes) -> bytes:
    return f"{len(raw):x}\r\n".encode() + raw + b"\r\n"


def delta(content: object, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "m-1", "choices": [choice], **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    http = Http()
    yield http
    await http.close()


def provider(wire: Wire, http: Http, key: str = KEY) -> Provider:
    section = LlmSection(provider="openai", base_url=wire.url, api_key=Secret(key) if key else None)
    return Providers(http, SystemClock()).get(section)


def asking(**more: Any) -> CompletionRequest:
    return CompletionRequest(model="m", messages=(Message(Role.USER, "hi"),), **more)


async def streamed(provider: Provider, request: CompletionRequest) -> Completion:
    chunks = [chunk async for chunk in provider.stream(request)]
    assert all(chunk.completion is None for chunk in chunks[:-1])
    assert chunks[-1].completion is not None
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].completion.text
    return chunks[-1].completion


async def asked(provider: Provider, request: CompletionRequest) -> Completion:
    return await provider.complete(request)


Ask = Callable[[Provider, CompletionRequest], Awaitable[Completion]]
both = pytest.mark.parametrize("ask", [asked, streamed])


async def stream_of(http: Http, *events: bytes, end: bytes = END, close: bool = False) -> Completion:
    async with Wire(STREAM_HEAD + part(b"".join(events)) + end, close=close) as wire:
        return await streamed(provider(wire, http), asking())


# --- bytes in pieces --------------------------------------------------------------------------------------------


async def test_a_whole_answer_may_arrive_in_any_number_of_packets(http: Http) -> None:
    """An answer is read to its end wherever the network cuts it; its connection is used again."""
    raw = whole(answer("два слова " * 20))
    async with Wire() as wire:
        openai = provider(wire, http)
        for cut in range(1, len(raw), 7):
            wire.pieces = (raw[:cut], raw[cut:])
            assert (await openai.complete(asking())).text == "два слова " * 20
        assert wire.connections == 1


async def test_a_stream_may_be_cut_anywhere(http: Http) -> None:
    """Inside a line end, a character, a number: text, usage and reason are the same; the connection is used again."""
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
    last = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\r\n\r\n"
    first = 'data: {"choices":[{"delta":{"content":"да 🧑‍🚀"}}]}\r\n\r\n'.encode()
    events = b"\xef\xbb\xbf: hello\r\n\r\n" + first + delta(" ok", "length").replace(b"\n", b"\r\n") + last + DONE
    async with Wire() as wire:
        openai = provider(wire, http)
        for cut in range(1, len(events), 17):
            wire.pieces = (STREAM_HEAD + part(events[:cut]), part(events[cut:]) + END)
            completion = await streamed(openai, asking())
            assert completion == Completion("да 🧑‍🚀 ok", Usage(5, 3, 2), "m-1", "length")
        assert wire.connections == 1


async def test_an_emoji_cut_in_two_by_the_server_is_whole_again(http: Http) -> None:
    """Halves of a character in two events are joined; a half that stays alone is left out or replaced, never passed on."""
    halves = [
        b'data: {"choices":[{"delta":{"content":"x\\ud83e"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\udd16y"}}]}\n\n',
    ]
    assert (await stream_of(http, *halves, DONE)).text == "x🤖y"
    (await stream_of(http, halves[0], delta(" y"), DONE)).text.encode()
    (await stream_of(http, halves[0], DONE)).text.encode()
    async with Wire(whole(b'{"choices":[{"message":{"content":"x\\ud83e"}}]}')) as wire:
        (await provider(wire, http).complete(asking())).text.encode()


# --- answers of other shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": None, "refusal": "I will not."}, "I will not."),
        ({"content": "a", "refusal": None, "tool_calls": None, "reasoning_content": "hm"}, "a"),
    ],
)
async def test_what_counts_as_the_answer(http: Http, message: dict[str, object], text: str) -> None:
    """Parts of text are joined, a refusal is an answer, thoughts are not."""
    async with Wire(whole({"choices": [{"message": message}]})) as wire:
        assert (await provider(wire, http).complete(asking())).text == text
    event = b"data: " + json.dumps({"choices": [{"delta": message}]}).encode() + b"\n\n"
    assert (await stream_of(http, event, DONE)).text == text


@pytest.mark.parametrize(
    "usage", [None, {}, [], {"prompt_tokens": None}, {"prompt_tokens": -1, "completion_tokens": "7"}]
)
async def test_usage_that_is_not_told_is_zero(http: Http, usage: object) -> None:
    """Null, missing, negative or misshapen counts never fail a turn."""
    async with Wire(whole({**answer(), "usage": usage})) as wire:
        assert (await provider(wire, http).complete(asking())).usage == Usage()
    assert (await stream_of(http, delta("x", "stop", usage=usage), DONE)).usage == Usage()


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"<html>", b"{}", b'{"choices":[]}', b'{"choices":{}}', b'{"choices":[1]}', b"[" * 100_000,
     b'{"choices":[{"message":{"content":7}}]}', b'{"choices":[{"message":null}]}', b"\xff\xfe"],
)  # fmt: skip
@both
async def test_a_body_of_another_shape_is_an_outage(http: Http, ask: Ask, body: bytes) -> None:
    """Whatever stands where an answer should be, it is a ProviderUnavailable and nothing else."""
    async with Wire(whole(body)) as wire:
        with pytest.raises(ProviderUnavailable):
            await ask(provider(wire, http), asking())


@pytest.mark.parametrize(
    "event",
    [b"data: 7\n\n", b'data: {"choices":\n\n', b"data: " + b"[" * 100_000 + b"\n\n", b'data: "\xff"\n\n'],
)
async def test_an_event_of_another_shape_is_an_outage(http: Http, event: bytes) -> None:
    """A garbled event fails the answer, even after good ones."""
    with pytest.raises(ProviderUnavailable):
        await stream_of(http, delta("x"), event, delta("y", "stop"), DONE)


async def test_events_that_say_nothing_are_passed_over(http: Http) -> None:
    """Filter results, empty choices, a null delta and a second answer's pieces do not disturb the first's."""
    second = b'data: {"choices":[{"index":1,"delta":{"content":"other"}}]}\n\n'
    odd = [
        b'data: {"choices":[{"delta":null}]}\n\n',
        b'data: {"choices":null}\n\n',
        b'data: {"prompt_filter_results":[]}\n\n',
    ]
    completion = await stream_of(http, *odd, delta("a"), second, delta(None), delta("b", "stop"), DONE)
    assert completion.text == "ab"


async def test_a_truncated_stream_is_an_outage_a_finished_one_is_not(http: Http) -> None:
    """The reason for finishing, or [DONE], says that an answer is whole; without either it is not passed on."""
    with pytest.raises(ProviderUnavailable, match="cut off"):
        await stream_of(http, delta("half"))
    assert (await stream_of(http, delta("all", "stop"))).text == "all"
    assert (await stream_of(http, delta("all"), DONE)).finish_reason == "stop"
    with pytest.raises(ProviderUnavailable, match="broke off"):
        await stream_of(http, delta("half"), end=b"", close=True)


async def test_a_server_that_stays_on_the_line_after_the_end_is_not_waited_for(http: Http) -> None:
    """After [DONE] the answer is complete, also when the body never ends."""
    assert (await stream_of(http, delta("all", "stop"), DONE, end=b"")).text == "all"


async def test_servers_that_do_not_stream_or_do_not_say_so(http: Http) -> None:
    """A whole answer to a streamed question is taken; so is a stream without its content type."""
    async with Wire(whole(answer())) as wire:
        assert (await streamed(provider(wire, http), asking())).text == "hello world"
    head = STREAM_HEAD.replace(b"text/event-stream", b"text/plain")
    async with Wire(head + part(delta("x", "stop") + DONE) + END) as wire:
        assert (await streamed(provider(wire, http), asking())).text == "x"


@pytest.mark.parametrize("content", [None, "", "  \n"])
async def test_an_empty_answer_says_why(http: Http, content: str | None) -> None:
    """An answer that spent all its tokens on thinking says what to change."""
    body = {"choices": [{"message": {"content": content}, "finish_reason": "length"}]}
    async with Wire(whole(body)) as wire:
        with pytest.raises(ProviderUnavailable, match=r"answered nothing.*max_output_tokens"):
            await provider(wire, http).complete(asking())
    with pytest.raises(ProviderUnavailable, match="answered nothing"):
        await stream_of(http, delta(content, "stop"), DONE)


async def test_an_answer_without_end_is_refused(http: Http) -> None:
    """Neither a body nor an event can fill our memory."""
    async with Wire(whole(b" " * (17 << 20))) as wire:
        with pytest.raises(ProviderUnavailable, match="more than"):
            await provider(wire, http).complete(asking())
    line = b"data: " + b"x" * (1 << 20) + b"\n"
    with pytest.raises(ProviderUnavailable, match="more than"):
        await stream_of(http, *[line] * 6)


# --- refusals ---------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("status", "kind"),
    [(code, ProviderRefused) for code in (301, 307, 400, 401, 402, 403, 404, 405, 413, 422, 451)]
    + [(code, ProviderUnavailable) for code in (408, 409, 425, 429, 500, 501, 502, 503, 504, 507, 520, 529, 530, 599)],
)
async def test_each_status_has_its_error(http: Http, ask: Ask, status: int, kind: type[ProviderError]) -> None:
    """What can pass is worth another try, what cannot is not; the server's words are passed on, the key is not."""
    body = {"error": {"message": f"no\n{KEY} here"}}
    async with Wire(whole(body, f"{status} X", Location="http://127.0.0.1:9/")) as wire:
        with pytest.raises(kind, match=rf"{status}: no •+ here") as caught:
            await ask(provider(wire, http), asking())
    assert KEY not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"


@pytest.mark.parametrize(
    "body",
    [
        {"error": "boom"},
        {"message": "boom"},
        {"detail": "boom"},
        {"detail": [{"msg": "boom"}]},
        b"<h1>boom</h1>",
        ["boom"],
    ],
)
async def test_every_dialect_of_error_is_quoted(http: Http, body: object) -> None:
    """OpenAI, Ollama, Mistral, FastAPI, a proxy's page: what they say is in the error."""
    async with Wire(whole(body, "500 X")) as wire:
        with pytest.raises(ProviderUnavailable, match="boom"):
            await provider(wire, http).complete(asking())


async def test_an_empty_account_is_not_asked_again(http: Http) -> None:
    """429 insufficient_quota does not pass by waiting."""
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    async with Wire(whole(body, "429 Too Many Requests", Retry_After="1")) as wire:
        with pytest.raises(ProviderRefused, match="credit"):
            await provider(wire, http).complete(asking())


@both
@pytest.mark.parametrize(
    ("error", "kind"),
    [({"message": "overloaded", "code": 502}, ProviderUnavailable), ({"message": "bad", "code": 401}, ProviderRefused),
     ({"message": "slow", "code": 429}, ProviderUnavailable), ("text", ProviderUnavailable)],
)  # fmt: skip
async def test_an_error_in_place_of_an_answer(http: Http, ask: Ask, error: object, kind: type[ProviderError]) -> None:
    """Status 200 and an error object, whole or in mid-stream, is an error of the kind its code says."""
    raw = {"error": error, "key": KEY}
    body = (
        whole(raw)
        if ask is asked
        else STREAM_HEAD + part(delta("x") + b"data: " + json.dumps(raw).encode() + b"\n\n") + END
    )
    async with Wire(body) as wire:
        with pytest.raises(kind) as caught:
            await ask(provider(wire, http), asking())
    assert KEY not in str(caught.value)


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": formatdate(NOW + 7, usegmt=True)}, 7.0),
        ({"retry-after": formatdate(NOW - 7, usegmt=True)}, 0.0),
        ({"retry-after": "-2"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "20s"}, None),
        ({"retry-after": "1", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20s"}, 1.0),
    ],
)
def test_retry_hints(headers: dict[str, str], expected: float | None) -> None:
    """Every way a server may say how long to wait; nonsense is no hint."""
    assert retry_after_s(headers, NOW) == expected


# --- the way there ----------------------------------------------------------------------------------------------


async def test_a_server_that_speaks_no_tls_is_an_outage(http: Http) -> None:
    """https:// to a port that speaks http is named, with its address, without a crash."""

    def rebuff(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(rebuff, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    section = LlmSection(provider="openai", base_url=f"https://127.0.0.1:{port}/v1")
    with pytest.raises(ProviderUnavailable, match=rf"127\.0\.0\.1:{port}"):
        await Providers(http, SystemClock()).get(section).complete(asking())
    server.close()


async def test_a_client_that_is_closed_already(http: Http) -> None:
    """A call during the shutdown ends in the provider's own kind of error."""
    await http.close()
    async with Wire() as wire:
        with pytest.raises(ProviderUnavailable, match="closed"):
            await provider(wire, http).complete(asking())


async def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(http: Http) -> None:
    """A line end inside a key, or a key beside a user name, is an error of the file; spaces around a key are nothing."""
    async with Wire(whole(answer())) as wire:
        with pytest.raises(ProviderRefused, match="control character") as caught:
            provider(wire, http, "sk-a\nX-Evil: 1")
        assert "Evil" not in str(caught.value)
        section = LlmSection(provider="openai", base_url="http://user:word@127.0.0.1/v1", api_key=Secret(KEY))
        with pytest.raises(ProviderRefused, match="user name") as caught:
            Providers(http, SystemClock()).get(section)
        assert "word" not in str(caught.value)
        await provider(wire, http, f" {KEY}\n").complete(asking())
        assert f"authorization: bearer {KEY}\r\n".encode() in wire.requests[-1][0].lower()
        await provider(wire, http, "").complete(asking())
        assert b"authorization" not in wire.requests[-1][0].lower()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
async def test_options_that_are_no_json_are_refused(http: Http, value: object) -> None:
    """A date or inf of a TOML file in [llm.options] is an error that says so, not a crash."""
    async with Wire(whole(answer())) as wire:
        with pytest.raises(ProviderRefused, match=r"\[llm\.options\]"):
            await provider(wire, http).complete(asking(options={"x": value}))


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {"max_tokens": 9}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        (
            {"temperature": 2, "model": "x", "messages": [], "stream": True, "stream_options": {"a": 1}},
            {"max_tokens": 9},
        ),
    ],
)
async def test_options_and_what_they_replace(http: Http, options: dict[str, Any], sent: dict[str, Any]) -> None:
    """An option replaces a limit, whichever its name; the model, the messages and the form stay ours."""
    async with Wire(whole(answer())) as wire:
        await provider(wire, http).complete(asking(options=options, max_output_tokens=9))
        temperature = {"temperature": options["temperature"]} if "temperature" in options else {}
        assert wire.body == {"model": "m", "messages": [{"role": "user", "content": "hi"}], **sent, **temperature}


async def test_usage_is_asked_for_unless_the_server_does_not_know_how(http: Http) -> None:
    """A stream asks for its usage; stream_options = false leaves that out."""
    async with Wire(STREAM_HEAD + part(delta("x", "stop") + DONE) + END) as wire:
        await streamed(provider(wire, http), asking())
        assert (wire.body["stream"], wire.body["stream_options"]) == (True, {"include_usage": True})
        await streamed(provider(wire, http), asking(options={"stream_options": False}))
        assert wire.body["stream"] is True
        assert "stream_options" not in wire.body


async def test_openai_itself_gets_its_own_name_for_the_limit(http: Http) -> None:
    """api.openai.com takes max_completion_tokens; a host that only looks like it does not."""
    providers = Providers(http, SystemClock())
    for url, name in (
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://x.example/api.openai.com", "max_tokens"),
    ):
        made: Any = providers.get(LlmSection(provider="openai", base_url=url))
        assert name in json.loads(b"".join(made._body(asking(max_output_tokens=9), stream=False).pieces()))


async def test_lone_surrogates_of_a_person_are_sent(http: Http) -> None:
    """What a person's broken keyboard types does not crash the call."""
    async with Wire(whole(answer())) as wire:
        request = CompletionRequest("m", (Message(Role.USER, "x\ud83e"),))
        assert (await provider(wire, http).complete(request)).text == "hello world"


# --- leaving early ----------------------------------------------------------------------------------------------


def acquired(http: Http) -> int:
    connector = http.session.connector
    assert connector is not None
    return len(connector._acquired)


async def test_a_stream_may_be_left_at_any_piece(http: Http) -> None:
    """Whoever stops listening, in this task or by dropping the stream, closes the connection and raises nothing."""
    loop, unheard = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    async with Wire(STREAM_HEAD + part(delta("x")), part(delta("y")), close=False) as wire:
        async for chunk in provider(wire, http).stream(asking()):
            assert chunk.text == "x"
            break
        gc.collect()
        await eventually(lambda: acquired(http) == 0 and wire.open == 0)
    loop.set_exception_handler(None)
    assert unheard == []


async def test_a_stream_that_falls_silent_is_a_timeout_in_the_middle(http: Http, clock: ManualClock) -> None:
    """timeout_s bounds the whole of it, not the wait for a piece."""
    async with Wire(STREAM_HEAD + part(delta("x")), part(delta("y"))) as wire:
        section = LlmSection(provider="openai", base_url=wire.url)
        texts: list[str] = []
        outcome: list[Exception] = []

        async def listen() -> None:
            try:
                async for chunk in Providers(http, clock).get(section).stream(asking(timeout_s=10.0)):
                    texts.append(chunk.text)
                    await clock.sleep(4)
            except ProviderTimeout as error:
                outcome.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await eventually(lambda: texts == ["x"])
            await clock.advance(4)
            await eventually(lambda: texts == ["x", "y"])
            await clock.advance(5.9)
            assert not outcome
            await clock.advance(0.2)
            await eventually(lambda: outcome)
        assert acquired(http) == 0


# --- the cache --------------------------------------------------------------------------------------------------


async def test_the_cache_of_providers_is_bounded(http: Http) -> None:
    """Keys that are exchanged for ever do not fill the memory."""
    providers = Providers(http, SystemClock())
    for n in range(KEPT + 10):
        providers.get(LlmSection(provider="openai", api_key=Secret(f"sk-{n}")))
    assert len(providers._made) == KEPT


@pytest.mark.parametrize("seeds", [(1, 1, True), (1, 2, False)])
async def test_echo_fails_alike_with_one_seed(http: Http, seeds: Sequence[Any]) -> None:
    """fail_rate with a seed is repeatable, about as often as asked."""
    runs = []
    for seed in seeds[:2]:
        echo = Providers(http, SystemClock()).get(LlmSection(provider="echo"))
        runs.append([await failed(echo, {"fail_rate": 0.3, "seed": seed}) for _ in range(200)])
    assert (runs[0] == runs[1]) is seeds[2]
    assert 30 < sum(runs[0]) < 90


async def failed(echo: Provider, options: dict[str, Any]) -> bool:
    try:
        await echo.complete(asking(options=options))
    except ProviderUnavailable:
        return True
    return False
