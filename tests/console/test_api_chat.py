"""Turns over HTTP: whole, streamed, left in the middle; and whose conversations they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.console.api_rig import Api, serving
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

SLOW = 'channel = "none"\n[llm]\nprovider = "echo"\n[llm.options]\ndelay_s = 30\n'


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f", anonymous="admin") as running:
        yield running


async def chat(api: Api, bot_id: str = "echo", key: str = "", **body: Any) -> Any:
    """Say something; return the answer."""
    return await api.ask("POST", f"/v1/bots/{bot_id}/chat", key=key, json={"message": "hello", **body})


def events_of(text: str) -> list[tuple[str, Any]]:
    """Return the events of a stream, comments left out."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines.get("event", ""), json.loads(lines["data"])))
    return found


async def add_bot(api: Api, bot_id: str, text: str) -> None:
    """Put a bot into the folder."""
    (api.fleet.place.root / "bots" / f"{bot_id}.toml").write_text(text)
    await api.fleet.control.reload(actor="test")


async def test_an_answer_is_stored_before_it_is_given(api: Api) -> None:
    """The answer says what it took and where it stands; the conversation has question and answer."""
    answer = await chat(api, conversation_id="c1", client_id="acme", user_id="u1")
    assert answer.status == 200
    took = answer.body["usage"]
    assert answer.body["response"] == "hello"
    assert (answer.body["bot_id"], answer.body["conversation_id"], answer.body["client_id"]) == ("echo", "c1", "acme")
    assert (answer.body["provider"], took["tokens_in"], took["tokens_out"], took["cost"]) == ("echo", 6, 1, 0.0)
    [row] = await api.fleet.control.conversations("echo")
    assert (row["client_id"], row["conversation_id"], row["user_id"], row["messages"]) == ("acme", "c1", "u1", 2)


async def test_without_a_conversation_a_new_one_begins(api: Api) -> None:
    """Its id comes with the answer, and is good for the next question."""
    first = (await chat(api)).body["conversation_id"]
    again = await chat(api, conversation_id=first)
    assert again.body["conversation_id"] == first
    assert (await chat(api)).body["conversation_id"] != first
    found = await api.ask("GET", f"/v1/bots/echo/conversations/{first}")
    assert found.body["turns"] == 2


@pytest.mark.parametrize("by_header", [False, True])
async def test_streamed_the_pieces_are_the_answer(api: Api, by_header: bool) -> None:
    """delta after delta, then done with what a whole answer says."""
    words = " ".join(f"word{number}" for number in range(50))
    body: dict[str, Any] = {"message": words, "conversation_id": "s", "client_id": "a"}
    headers = {"accept": "text/event-stream"} if by_header else {}
    answer = await api.ask(
        "POST", "/v1/bots/echo/chat", json=body if by_header else body | {"stream": True}, headers=headers
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, (name, done) = events_of(answer.body)
    assert {event for event, _ in deltas} == {"delta"}
    assert "".join(data["text"] for _, data in deltas) == words == done["response"]
    assert (name, done["conversation_id"], done["usage"]["tokens_out"]) == ("done", "s", 50)


async def test_who_leaves_a_stream_gives_the_answer_up(api: Api) -> None:
    """Nothing is stored, nothing goes on, and the conversation is free for the next question."""
    await add_bot(api, "slow", SLOW)
    body = {"message": "hello", "conversation_id": "left", "client_id": "a", "stream": True}
    asking = asyncio.ensure_future(chat(api, "slow", **body))
    bot = await api.fleet.tenants.bot("slow")
    await eventually(lambda: bot.in_use == 1)
    asking.cancel()
    await eventually(lambda: bot.in_use == 0)
    assert await api.fleet.control.conversations("slow") == []
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("slow/answer")]


async def test_a_model_without_an_answer_is_an_error(api: Api) -> None:
    """502, the cause in the log and not in the answer; streamed it has the same status, as nothing was said yet."""
    text = 'channel = "none"\n[llm]\nprovider = "openai"\nmodel = "m"\napi_key = "k-secret-123"\nbase_url = "http://127.0.0.1:9"\n'
    await add_bot(api, "mute", text)
    for more in ({}, {"stream": True}):
        answer = await chat(api, "mute", **more)
        assert (answer.status, answer.body["error"]) == (502, "TurnFailedError")
        assert answer.body["detail"]["text"]
        assert "127.0.0.1" not in json.dumps(answer.body)


NONSENSE: list[tuple[Any, str]] = [
    ({"message": ""}, "body.message"),
    ({"message": " \n"}, "body.message"),
    ({"message": 5}, "body.message"),
    ({}, "body.message"),
    ({"message": "x", "colour": "red"}, "body.colour"),
    ({"message": "x", "conversation_id": "a\nb"}, "body.conversation_id"),
    ({"message": "x", "client_id": "c" * 129}, "body.client_id"),
    ({"message": "x", "user_id": "\x7f"}, "body.user_id"),
    ({"message": "x" * 40_000}, "body.message"),
    ([1], "body"),
]


async def test_what_makes_no_sense_is_refused_by_field(api: Api) -> None:
    """422 ValidationError, each mistake with its place; blanks alone say nothing."""
    for body, where in NONSENSE:
        answer = await api.ask("POST", "/v1/bots/echo/chat", json=body)
        assert (answer.status, answer.body["error"]) == (422, "ValidationError")
        assert where in [mistake["where"] for mistake in answer.body["detail"]["mistakes"]]
        assert await api.fleet.control.conversations("echo") == []


async def test_bots_that_answer_nobody(api: Api) -> None:
    """No such bot is 404 and names the nearest; a stopped one, or one without a good file, is 409."""
    unknown = await chat(api, "ecko")
    assert (unknown.status, unknown.body["error"]) == (404, "BotNotFoundError")
    assert "echo" in unknown.body["detail"]["hint"]
    assert (await api.ask("POST", "/v1/bots/echo/stop")).status == 200
    stopped = await chat(api)
    assert (stopped.status, stopped.body["error"]) == (409, "ConflictError")
    assert (await api.ask("POST", "/v1/bots/echo/start")).status == 200
    assert (await chat(api)).status == 200
    await add_bot(api, "bad", "naem = 1\n")
    assert (await chat(api, "bad")).status == 409


async def test_a_changed_file_counts_from_the_next_turn_on(api: Api) -> None:
    """The folder's bots are live: no restart, no new conversation."""
    assert (await chat(api, conversation_id="c")).body["provider"] == "echo"
    await add_bot(api, "echo", 'channel = "none"\nclient_id = "mine"\n[llm]\nprovider = "echo"\n')
    assert (await chat(api, conversation_id="c")).body["client_id"] == "mine"
    rows = await api.fleet.control.conversations("echo")
    assert {row["client_id"] for row in rows} == {"", "mine"}


async def test_a_key_of_a_client_speaks_for_it_alone(api: Api) -> None:
    """Its own client without being told; another is refused, and another's bot is not there."""
    key = await api.key("operate", "acme")
    assert (await chat(api, key=key, conversation_id="c")).body["client_id"] == "acme"
    refused = await chat(api, key=key, conversation_id="c", client_id="globex")
    assert (refused.status, refused.body["error"]) == (403, "PermissionDeniedError")
    await add_bot(api, "theirs", 'channel = "none"\nclient_id = "globex"\n[llm]\nprovider = "echo"\n')
    assert (await chat(api, "theirs", key=key)).status == 404
    assert (await chat(api, "theirs")).status == 200
    assert (await api.ask("POST", "/v1/bots/theirs/stop")).status == 200
    for bot_id in ("theirs", "their"):
        hidden = await chat(api, bot_id, key=key)
        assert (hidden.status, "theirs" in hidden.body["detail"]["hint"]) == (404, False)
        assert (await api.ask("GET", f"/v1/bots/{bot_id}/conversations", key=key)).status == 404
    seen = await api.ask("GET", "/v1/bots", key=key)
    assert seen.body == {"bots": [{"bot_id": "echo"}]}


async def test_too_many_questions_are_put_off(api: Api) -> None:
    """429 with the seconds to wait, streamed too; others of the bot are answered."""
    await add_bot(api, "few", 'channel = "none"\n[llm]\nprovider = "echo"\n[limits]\nuser_per_min = 1\n')
    assert (await chat(api, "few", user_id="u", conversation_id="1")).status == 200
    for more in ({}, {"stream": True}):
        answer = await chat(api, "few", user_id="u", conversation_id="2", **more)
        assert (answer.status, answer.body["error"]) == (429, "RateLimitError")
        assert int(answer.headers["retry-after"]) > 0
    assert (await chat(api, "few", user_id="v", conversation_id="3")).status == 200


async def test_a_fleet_that_ends_answers_what_it_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn under way is waited for, stored and given; a new one is refused."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with aiohttp.ClientSession() as session:
        async with serving(tmp_path / "f", anonymous="admin") as api:
            await add_bot(api, "slow", SLOW.replace("30", "1"))
            own = Api(api.fleet, api.port, session)
            asking = asyncio.ensure_future(chat(own, "slow", conversation_id="c"))
            bot = await api.fleet.tenants.bot("slow")
            await eventually(lambda: bot.in_use == 1)
        answer = await asking
    assert (answer.status, answer.body["response"]) == (200, "hello")
