"""A model that thinks before it calls: its thoughts go back to it, and to nobody else, for as long as the turn lasts.

The double signs thoughts and refuses a request in which they are missing or changed, as the real API does.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.schema import LlmSection
from config.vocabulary import Secret
from console.sandbox.completions import Said
from console.sandbox.server import Sandbox
from tests.workers.thoughts_rig import Ears, noting, turn
from tests.workers.tools_rig import Bench
from workers.clock import ManualClock
from workers.llm.messages import Gathering, read_whole
from workers.llm.refusals import Refusals

pytestmark = pytest.mark.anyio

THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
THOUGHTS = ["thinking", "redacted_thinking"]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        yield double


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    async with noting(tmp_path, clock) as made:
        yield made


def link(sandbox: Sandbox, provider: str = "anthropic", model: str = "thinker", **options: Any) -> LlmSection:
    return LlmSection(provider=provider, model=model, base_url=sandbox.model_url, api_key=Secret("k"), options=options)


def said_before(sandbox: Sandbox) -> list[list[dict[str, Any]]]:
    """What the last ask held of the model's own words, block by block."""
    return [message["content"] for message in sandbox.model.calls[-1].messages if message["role"] == "assistant"]


@pytest.mark.parametrize("ears", [None, Ears()])
async def test_thoughts_go_back_in_every_round_of_the_turn(sandbox: Sandbox, desk: Bench, ears: Ears | None) -> None:
    """Whole or streamed: read or redacted, in front of the calls they led to, to the letter."""
    sandbox.model.script_calls(("note", '{"n": 1}'), text="First.")
    sandbox.model.script_calls(("note", '{"n": 2}'))
    sandbox.model.script("done")
    done = await turn(desk, link(sandbox, **THINKING), ears=ears)
    assert (done.completion.text, done.rounds) == ("done", 2)
    first, second = said_before(sandbox)
    assert [block["type"] for block in first] == [*THOUGHTS, "text", "tool_use"]
    assert [block["type"] for block in second] == [*THOUGHTS, "tool_use"]
    assert "\N{EM DASH} number 1 \N{EM DASH}" in first[0]["thinking"]
    assert set(first[0]) == {"type", "thinking", "signature"}
    assert set(first[1]) == {"type", "data"}


async def test_another_model_is_not_given_thoughts_it_cannot_read(sandbox: Sandbox, desk: Bench) -> None:
    """One of the same API would refuse the signature; what it is to say without thoughts of its own it says unthinking.

    Back at the first one, its thoughts are there again; the call between them had none.
    """
    asked: list[tuple[str, bool, list[list[str]]]] = []

    def answer(call: Any) -> Said:
        kinds = [[block["type"] for block in said] for said in said_before(sandbox)]
        asked.append((call.model, "thinking" in call.body, kinds))
        if len(asked) == 2:
            sandbox.model.faults.fail("chat", "unauthorized", times=1)
        return Said("", (("note", f'{{"n": {len(asked)}}}'),)) if len(asked) < 4 else Said("done")

    sandbox.model.answer = answer
    chain = link(sandbox, **THINKING), link(sandbox, model="other", **THINKING)
    assert (await turn(desk, *chain)).completion.text == "done"
    own, foreign = [*THOUGHTS, "tool_use"], ["tool_use"]
    assert asked == [
        ("thinker", True, []),
        ("thinker", True, [own]),
        ("other", False, [foreign, foreign]),
        ("thinker", False, [own, own, foreign]),
    ]


async def test_a_fallback_that_calls_gets_its_own_thoughts_back(sandbox: Sandbox, desk: Bench) -> None:
    """As long as it is the one that answers."""
    sandbox.model.script_calls(("note", '{"n": 1}'))
    sandbox.model.script("done")
    gone = LlmSection(provider="openai", model="gone", base_url=sandbox.model_url, api_key=Secret("a\x07b"))
    done = await turn(desk, gone, link(sandbox, **THINKING))
    assert (done.completion.text, done.link) == ("done", 1)
    assert [block["type"] for block in said_before(sandbox)[0]] == [*THOUGHTS, "tool_use"]


async def test_without_thoughts_nothing_is_different(sandbox: Sandbox, desk: Bench) -> None:
    """A model that does not think gets its words and calls back as ever."""
    sandbox.model.script_calls(("note", '{"n": 1}'), text="First.")
    sandbox.model.script("done")
    await turn(desk, link(sandbox))
    [said] = said_before(sandbox)
    assert [block["type"] for block in said] == ["text", "tool_use"]
    assert said[1]["input"] == {"n": 1}


def test_garbled_thoughts_do_no_harm() -> None:
    """Whatever a server calls a thought: what is no text in it is left out, and the answer is read."""
    garbled = {"type": "thinking", "thinking": None, "signature": 7, "more": {"deep": []}}
    call = {"type": "tool_use", "id": "c", "name": "note", "input": {}}
    content = [garbled, {"type": "redacted_thinking"}, {"type": "strange"}, call]
    refusals = Refusals()
    body = b'{"content": %s}' % json.dumps(content).encode()
    assert read_whole(body, "m", refusals).verbatim[:2] == ({"type": "thinking"}, {"type": "redacted_thinking"})
    stream = Gathering("m", refusals)
    for place, block in enumerate(content):
        stream.add(json.dumps({"type": "content_block_start", "index": place, "content_block": block}).encode())
    stream.add(b'{"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": 5}}')
    stream.add(b'{"type": "message_stop"}')
    assert stream.completion().verbatim[0] == {"type": "thinking"}
