"""Tools that are HTTP requests: what is sent, what is taken of the answer, what a model cannot make them do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from tests.waiting import eventually
from tests.workers.tools_rig import Bench, Server, bench, serving
from workers.clock import ManualClock
from workers.tools.http import LARGEST_ANSWER

pytestmark = pytest.mark.anyio

TEXT = {"type": "string"}
KEY = "key-0123456789abcdef"


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    async with bench(tmp_path, clock) as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(Server()) as made:
        yield made


def arguments(*names: str, **more: Any) -> dict[str, Any]:
    """Declare arguments, all of them texts unless said otherwise."""
    return {**dict.fromkeys(names, TEXT), **more}


async def test_arguments_are_filled_into_path_query_and_body(desk: Bench, server: Server) -> None:
    """Texts are encoded; a name alone keeps its type in the body; what was not given is left out."""
    desk.tool(
        "find", "http", method="POST", url=f"{server.url}/städte/{{city}}/x?lang={{lang}}",
        query={"units": "metric", "days": "{days}", "tag": "{tags}", "note": "{note}"},
        body={"where": {"city": "{city}"}, "days": "{days}", "exact": "{exact}", "say": "in {city}, {{city}}", "n": 1,
              "list": ["{note}", "{tags}"]},
        parameters=arguments("city", "lang", "note", days={"type": "integer"}, exact={"type": "boolean"},
                             tags={"type": "array", "items": TEXT}),
        required=["city"],
    )  # fmt: skip
    await desk.call("find", city="São/Paulo & co?#", lang="a b", days=3, exact=False, tags=["x", "y&z"])
    [(method, path, headers, body)] = server.asked
    assert method == "POST"
    assert path == ("/st%C3%A4dte/S%C3%A3o%2FPaulo%20%26%20co%3F%23/x?lang=a%20b&units=metric&days=3&tag=x&tag=y%26z")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "where": {"city": "São/Paulo & co?#"}, "days": 3, "exact": False, "say": "in São/Paulo & co?#, {city}", "n": 1,
        "list": [["x", "y&z"]],
    }  # fmt: skip


@pytest.mark.parametrize("before", [470, 482, 494])
async def test_no_half_of_a_secret_is_told_where_a_refusal_is_cut(desk: Bench, server: Server, before: int) -> None:
    """A server that quotes the key it refuses: its words are cleaned, then cut."""

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401, text="x" * before + " " + request.headers["Authorization"])

    server.answer = refuse  # type: ignore[method-assign]
    desk.redactor.replace_known({KEY})
    desk.tool("get", "http", url=server.url, headers={"Authorization": KEY})
    told = await desk.call("get")
    assert told.startswith("Error: the server answered 401: xxx")
    assert KEY[:8] not in told + str([event.data() for event in desk.events()])


@pytest.mark.parametrize("value", ["..", "../../admin", "a/..", "a\\..", ".", "", "x/./y"])
async def test_a_model_cannot_leave_the_path(desk: Bench, server: Server, value: str) -> None:
    """What would lead to another path is refused before anything is sent."""
    desk.tool("get", "http", url=f"{server.url}/users/{{who}}/orders", parameters=arguments("who"))
    assert (await desk.call("get", who=value)).startswith("Error: argument who must not")
    assert server.asked == []


@pytest.mark.parametrize(
    "value", ["evil.example", "@evil.example/", "//evil.example/", ":80@evil", "\r\nHost: evil", "\ud800"]
)
async def test_a_model_cannot_change_the_host(desk: Bench, server: Server, value: str) -> None:
    """Whatever stands in an argument arrives, encoded, at the server of the operator."""
    desk.tool("get", "http", url=f"{server.url}/{{who}}", query={"q": "{who}"}, parameters=arguments("who"))
    await desk.call("get", who=value)
    [(_, path, headers, _)] = server.asked
    assert headers["Host"] in server.url
    assert path.count("/") == 1


async def test_a_name_in_the_host_is_never_filled(desk: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Such a tool is left out and the operator told."""
    desk.sections["tools"] = []
    from config.schema import ToolSection
    from workers.tools import http

    section = ToolSection.model_validate({"name": "x", "kind": "http", "url": "https://{host}/x"})
    assert await http.source(section, desk.boxes._parts).tools() == ()
    assert "scheme or host" in caplog.text


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("", '{"a": [{"b": "deep"}, 2], "c": null}'),
        ("a.0.b", "deep"),
        ("a.1", "2"),
        ("a.-1", "2"),
        ("a", '[{"b": "deep"}, 2]'),
        ("c", "null"),
        ("a.7", "Error: the server's answer holds nothing at a.7"),
        ("a.b", "Error: the server's answer holds nothing at a.b"),
    ],
)
async def test_a_part_of_the_answer_is_picked(desk: Bench, server: Server, result: str, told: str) -> None:
    """A dotted path leads through tables and lists."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"a": [{"b": "deep"}, 2], "c": None})

    server.answer = answer  # type: ignore[method-assign]
    desk.tool("get", "http", url=server.url, result=result)
    assert await desk.call("get") == told


async def test_an_answer_is_read_to_a_limit(desk: Bench, server: Server) -> None:
    """More than LARGEST_ANSWER is not waited for; text is cut, JSON that is needed whole is an error."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(10_000):
                await response.write(b"x" * 10_000)
        except ConnectionError:
            pass
        return response

    server.answer = answer  # type: ignore[method-assign]
    desk.tool("text", "http", url=server.url)
    desk.tool("part", "http", url=server.url, result="a")
    told = await desk.call("text")
    assert len(told) == 8000
    assert told.endswith(f"… (cut: the whole has {LARGEST_ANSWER} characters)")
    assert await desk.call("part") == f"Error: the answer has more than {LARGEST_ANSWER} bytes"


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("grüße".encode("latin-1"), "text/plain; charset=latin-1", "grüße"),
        ("grüße".encode(), "text/plain; charset=nonsense", "grüße"),
        (b"\x89PNG\0\0", "image/png", "(6 bytes of image/png, no text)"),
        (b"", "text/plain", "done"),
    ],
)
async def test_answers_of_every_kind_become_text(
    desk: Bench, server: Server, body: bytes, kind: str, told: str
) -> None:
    """Charsets are heeded, bytes are named, nothing is "done"."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": kind})

    server.answer = answer  # type: ignore[method-assign]
    desk.tool("get", "http", url=server.url)
    assert await desk.call("get") == told


async def test_an_error_of_the_server_is_told_with_its_words(desk: Bench, server: Server) -> None:
    """Status and the beginning of what the server says."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=422, text="no such\n city" + "x" * 9000)

    server.answer = answer  # type: ignore[method-assign]
    desk.tool("get", "http", url=server.url)
    told = await desk.call("get")
    assert told.startswith("Error: the server answered 422: no such cityxxx")
    assert len(told) < 600


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_on_the_host_alone(desk: Bench, server: Server, status: int) -> None:
    """Method and body go along as HTTP has it; another host never sees the headers."""
    async with serving(Server()) as elsewhere:

        async def answer(request: web.Request) -> web.Response:
            if request.path == "/a":
                return web.Response(status=status, headers={"Location": "/b"})
            if request.path == "/away":
                return web.Response(status=status, headers={"Location": f"{elsewhere.url}/taken"})
            return web.Response(text=f"{request.method} {await request.text()}")

        server.answer = answer  # type: ignore[method-assign]
        for name in ("a", "away"):
            desk.tool(name, "http", method="POST", url=f"{server.url}/{name}", body={"x": 1}, headers={"X-Key": KEY})
        assert await desk.call("a") == ('POST {"x": 1}' if status in {307, 308} else "GET ")
        assert "another host" in await desk.call("away")
        assert elsewhere.asked == []


async def test_a_server_that_redirects_for_ever_is_left(desk: Bench, server: Server) -> None:
    """After a few."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/again"})

    server.answer = answer  # type: ignore[method-assign]
    desk.tool("get", "http", url=server.url)
    assert await desk.call("get") == "Error: the server redirects without end"
    assert len(server.asked) == 6


async def test_a_server_that_does_not_answer_is_given_up(desk: Bench, server: Server, clock: ManualClock) -> None:
    """In the time the bot's tools have."""

    async def answer(request: web.Request) -> web.Response:
        await anyio.sleep(3600)
        raise AssertionError

    server.answer = answer  # type: ignore[method-assign]
    desk.tool("get", "http", url=server.url)
    told: list[str] = []

    async def ask() -> None:
        told.append(await desk.call("get"))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await eventually(lambda: server.asked)
        await clock.advance(20.0)
    assert told == ["Error: it took longer than 20 s and was given up"]


async def test_no_secret_is_told_whatever_the_server_does(
    desk: Bench, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that quotes headers and URL in answers, errors and redirects; one that is not there; headers that cannot be."""
    caplog.set_level("DEBUG")
    desk.redactor.replace_known({KEY})

    async def answer(request: web.Request) -> web.Response:
        words = f"{request.headers.get('Authorization')} {request.path_qs}"
        if request.path.startswith("/away"):
            return web.Response(status=302, headers={"Location": f"http://127.0.0.2:9/{KEY}"})
        if request.path.startswith("/long"):
            return web.Response(text="x" * 7990 + words * 1000)
        return web.Response(status=500 if request.path.startswith("/bad") else 200, text=words)

    server.answer = answer  # type: ignore[method-assign]
    headers = {"Authorization": f"Bearer {KEY}"}
    for name in ("good", "bad", "away", "long"):
        desk.tool(name, "http", url=f"{server.url}/{name}?key={KEY}", headers=headers)
    desk.tool("gone", "http", url=f"http://127.0.0.1:1/?key={KEY}", headers=headers)
    desk.tool("name", "http", url=f"http://no-such-host.invalid/?key={KEY}", headers=headers)
    desk.tool("split", "http", url=server.url, headers={"X-Key": f"{KEY}\r\nX: y"})
    told = [await desk.call(name) for name in ("good", "bad", "away", "long", "gone", "name", "split")]
    assert any("••••••" in text for text in told)
    everything = "\n".join([*told, *(str(event.data()) for event in desk.events()), caplog.text])
    for piece in (KEY, KEY[:12], KEY[-8:]):
        assert piece not in everything
    assert told[4].startswith("Error: no answer: 127.0.0.1:1: no connection")
