"""A bot with tools, streamed over HTTP: what it calls is told as it happens, what it says in each round as it is said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.sandbox.completions import Said
from console.sandbox.server import Sandbox
from tests.console.api_rig import Api, serving
from tests.console.test_api_chat import add_bot, chat, events_of

pytestmark = pytest.mark.anyio

BOT = """channel = "none"
[llm]
provider = "openai"
model = "m"
base_url = "{url}"
[[tools]]
name = "time"
kind = "builtin"
[[tools]]
name = "calculator"
kind = "builtin"
"""


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        yield double


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f", anonymous="admin") as running:
        await add_bot(running, "tooled", BOT.format(url=sandbox.model_url))
        yield running


async def events(api: Api, **body: Any) -> list[tuple[str, Any]]:
    answer = await chat(api, "tooled", stream=True, **body)
    assert answer.status == 200
    return events_of(answer.body)


async def test_tools_are_told_as_they_happen_and_each_round_as_it_is_said(api: Api, sandbox: Sandbox) -> None:
    """Begun, then done or failed with what it took; the deltas after the last `restart` are the response."""
    sandbox.model.script_calls(("time", "{}"), ("calculator", '{"expression": "1/0"}'), text="Let me see.")
    sandbox.model.script("It is late.")
    told = await events(api, conversation_id="c")
    names = [name for name, _ in told if name != "delta"]
    assert names == ["tool", "tool", "tool", "tool", "restart", "done"]
    tools = [data for name, data in told if name == "tool"]
    steps = sorted([(tool["call"], tool["name"], tool["state"]) for tool in tools])
    assert steps[:2] == [(1, "time", "begun"), (1, "time", "done")]
    assert steps[2:] == [(2, "calculator", "begun"), (2, "calculator", "failed")]
    assert all(not tool["duration_s"] for tool in tools if tool["state"] == "begun")
    assert all(tool["duration_s"] >= 0 and set(tool) == {"call", "name", "state", "duration_s"} for tool in tools)
    again = told.index(("restart", {}))
    assert said(told[:again]) == "Let me see."
    assert said(told[again:]) == told[-1][1]["response"] == "It is late."
    stored = await api.ask("GET", "/v1/bots/tooled/conversations/c/messages")
    assert [message["text"] for message in stored.body] == ["hello", "It is late."]


def said(told: list[tuple[str, Any]]) -> str:
    return "".join([data["text"] for name, data in told if name == "delta"])


async def test_the_answer_of_the_last_round_comes_in_pieces(api: Api, sandbox: Sandbox) -> None:
    """The tool's result is there and the first words are, while the model still speaks."""
    sandbox.model.script_calls(("time", "{}"))
    sandbox.model.script("one two three four")
    held = sandbox.model.faults.fail("chat", "hold_between", times=1, after=1)
    body = {"message": "hello", "stream": True}
    async with api.session.post(f"{api.url}/v1/bots/tooled/chat", json=body) as answer:
        came = ""
        while '"text"' not in came or not came.endswith("\n\n"):
            came += (await answer.content.readany()).decode()
        assert [name for name, _ in events_of(came)] == ["tool", "tool", "delta"]
        held.release()
        rest = (await answer.read()).decode()
    assert said(events_of(came + rest)) == "one two three four"


async def test_a_model_that_fails_in_mid_answer_is_taken_back(api: Api, sandbox: Sandbox) -> None:
    """The next try says something else: what came before is no part of it, and the turn is none that failed."""
    answers = iter(("Good morning to you", "Hello"))
    sandbox.model.answer = lambda call: Said(next(answers))
    sandbox.model.faults.fail("chat", "truncate", times=1)
    told = await events(api)
    again = told.index(("restart", {}))
    assert said(told[:again]).startswith("Good")
    assert said(told[again:]) == told[-1][1]["response"] == "Hello"


async def test_openai_clients_hear_the_answer_alone(api: Api, sandbox: Sandbox) -> None:
    """They cannot take anything back, and know no tools of the bot's."""
    sandbox.model.script_calls(("time", "{}"), text="Let me see.")
    sandbox.model.script("It is late.")
    body = {"model": "tooled", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    answer = await api.ask("POST", "/v1/chat/completions", json=body)
    chunks = [json.loads(line[6:]) for line in answer.body.splitlines() if line.startswith("data: {")]
    assert "".join([chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]) == "It is late."
