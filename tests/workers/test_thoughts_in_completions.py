"""Models behind chat completions that think before they call: what they thought goes back, as it came, within the turn.

The double refuses calls without their `reasoning_content`, as DeepSeek does, and changed `reasoning_details`, as OpenRouter.
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
from console.sandbox.thoughts import signature, thought
from tests.workers.thoughts_rig import Ears, noting, turn
from tests.workers.tools_rig import Bench
from workers.clock import ManualClock
from workers.errors import AnswerUnusable
from workers.llm.completions import Gathering, read_whole
from workers.llm.reading import MAX_TEXT
from workers.llm.refusals import Refusals

pytestmark = pytest.mark.anyio

THINKING = {"thinking": {"type": "enabled"}}
REASONING = {"reasoning": {"effort": "high"}}
THOUGHTS = ["reasoning", "reasoning_content", "reasoning_details"]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        yield double


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    async with noting(tmp_path, clock) as made:
        yield made


def link(sandbox: Sandbox, model: str = "thinker", **options: Any) -> LlmSection:
    return LlmSection(provider="openai", model=model, base_url=sandbox.model_url, api_key=Secret("k"), options=options)


def said_before(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What the last ask held of the model's own words."""
    return [message for message in sandbox.model.calls[-1].messages if message["role"] == "assistant"]


def thoughts(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in THOUGHTS if name in said}


@pytest.mark.parametrize("ears", [None, Ears()])
async def test_reasoning_content_goes_back_in_every_round_of_the_turn(
    sandbox: Sandbox, desk: Bench, ears: Ears | None
) -> None:
    """Whole or streamed, with the calls it led to; nobody hears it."""
    sandbox.model.script_calls(("note", '{"n": 1}'), text="First.")
    sandbox.model.script_calls(("note", '{"n": 2}'))
    sandbox.model.script("done")
    done = await turn(desk, link(sandbox, **THINKING), ears=ears)
    assert (done.completion.text, done.rounds) == ("done", 2)
    assert [thoughts(said) for said in said_before(sandbox)] == [
        {"reasoning_content": thought(1)},
        {"reasoning_content": thought(2)},
    ]
    assert done.completion.verbatim == ()
    assert ears is None or "".join(ears.heard) == "First.done"


@pytest.mark.parametrize("ears", [None, Ears()])
async def test_reasoning_details_go_back_as_they_came(sandbox: Sandbox, desk: Bench, ears: Ears | None) -> None:
    """In their order: the signed one whole again, the encrypted one untouched; not a second time as `reasoning`."""
    sandbox.model.script_calls(("note", '{"n": 1}'))
    sandbox.model.script("done")
    assert (await turn(desk, link(sandbox, **REASONING), ears=ears)).completion.text == "done"
    [said] = said_before(sandbox)
    read = {"type": "reasoning.text", "text": thought(1), "format": "double", "index": 0}
    hidden = {"type": "reasoning.encrypted", "data": signature(""), "id": None, "format": "double", "index": 1}
    assert thoughts(said) == {"reasoning_details": [{**read, "signature": signature(thought(1))}, hidden]}


async def test_another_model_is_not_given_them_and_goes_on_without_thinking(sandbox: Sandbox, desk: Bench) -> None:
    """Calls of another model have no thoughts of its own beside them, without which it would be refused."""
    asked: list[tuple[str, str, list[list[str]]]] = []

    def answer(call: Any) -> Said:
        asked.append((call.model, call.body["thinking"]["type"], [[*thoughts(said)] for said in said_before(sandbox)]))
        if len(asked) == 2:
            sandbox.model.faults.fail("chat", "unauthorized", times=1)
        return Said("", (("note", f'{{"n": {len(asked)}}}'),)) if len(asked) < 4 else Said("done")

    sandbox.model.answer = answer
    chain = link(sandbox, **THINKING), link(sandbox, model="other", **THINKING)
    assert (await turn(desk, *chain)).completion.text == "done"
    own = ["reasoning_content"]
    assert asked == [
        ("thinker", "enabled", []),
        ("thinker", "enabled", [own]),
        ("other", "disabled", [[], []]),
        ("thinker", "disabled", [own, own, []]),
    ]


async def test_without_thoughts_nothing_is_different(sandbox: Sandbox, desk: Bench) -> None:
    """A model that does not think gets its words and calls back as ever."""
    sandbox.model.script_calls(("note", '{"n": 1}'), text="First.")
    sandbox.model.script("done")
    await turn(desk, link(sandbox))
    [said] = said_before(sandbox)
    assert set(said) == {"role", "content", "tool_calls"}


CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "note", "arguments": "{}"}}


def streamed(*deltas: dict[str, Any]) -> tuple[Any, ...]:
    """What is kept of a stream of these deltas, a call at its end."""
    stream = Gathering("m", Refusals())
    for delta in (*deltas, {"tool_calls": [CALL]}):
        stream.add(json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode())
    stream.add(b"[DONE]")
    return stream.completion().verbatim


def whole(**message: Any) -> tuple[Any, ...]:
    """What is kept of a whole answer with a call."""
    body = {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [CALL], **message}}]}
    return read_whole(json.dumps(body).encode(), "m", Refusals()).verbatim


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_text_goes_back_under_the_name_it_came_by(name: str) -> None:
    """An empty one too: who sent it wants it. One that is null was not sent."""
    assert streamed({name: "Let me "}, {name: "see."}, {name: None}) == ({name: "Let me see."},)
    assert whole(**{name: "Let me see."}) == ({name: "Let me see."},)
    assert streamed({"role": "assistant", name: ""}) == ({name: ""},)
    assert whole(**{name: ""}) == ({name: ""},)
    assert streamed({name: None}) == whole(**{name: None}) == ()


def test_details_are_merged_by_kind_and_place() -> None:
    """Summaries and texts in pieces, whichever way they alternate; a signed block is over, one without a place too."""

    def told(kind: str, **fields: Any) -> dict[str, Any]:
        return {"reasoning_details": [{"type": f"reasoning.{kind}", **fields}]}

    pieces = (
        told("summary", summary="Su", index=0), told("text", text="A", index=1), told("summary", summary="m", index=0),
        told("encrypted", data="xx", id="rs_1", index=0), told("text", text="B", index=1, signature="s1"),
        told("text", text="C", index=1), told("encrypted", data="yy", id="rs_2", index=0),
        told("text", text="D"), told("text", text="E", signature="s2"), told("text", text="F"),
    )  # fmt: skip
    assert streamed(*pieces) == (
        {
            "reasoning_details": [
                {"type": "reasoning.summary", "summary": "Sum", "index": 0},
                {"type": "reasoning.text", "text": "AB", "index": 1, "signature": "s1"},
                {"type": "reasoning.encrypted", "data": "xx", "id": "rs_1", "index": 0},
                {"type": "reasoning.text", "text": "C", "index": 1},
                {"type": "reasoning.encrypted", "data": "yy", "id": "rs_2", "index": 0},
                {"type": "reasoning.text", "text": "DE", "signature": "s2"},
                {"type": "reasoning.text", "text": "F"},
            ]
        },
    )


def test_details_of_a_whole_answer_stay_apart() -> None:
    """Without places they look alike; nothing is merged that came as two."""
    blocks = [{"type": "reasoning.text", "text": "A", "signature": "a"}, {"type": "reasoning.text", "text": "B"}]
    assert whole(reasoning="AB", reasoning_details=blocks) == ({"reasoning_details": blocks},)


def test_garbled_thoughts_do_no_harm() -> None:
    """Whatever a server sends in their place: what is of no use is left out, and the answer is read."""
    for name, garbled in (("reasoning_content", 7), ("reasoning", {"effort": []}), ("reasoning_details", "no list")):
        assert streamed({name: garbled}) == whole(**{name: garbled}) == ()
    odd = ["text", None, {"type": {"deep": []}, "index": [0], "text": 5, "note": "kept"}, {"text": "A"}]
    assert streamed({"reasoning_details": odd}) == ({"reasoning_details": [{"note": "kept", "text": "A"}]},)
    kept = [{"text": 5, "note": "kept"}, {"text": "A"}]
    assert whole(reasoning_details=odd) == ({"reasoning_details": kept},)


@pytest.mark.parametrize(
    "delta",
    [{"reasoning_content": "x" * 10_000}, {"reasoning_details": [{"type": "reasoning.text", "text": "x" * 10_000}]}],
)
def test_thoughts_without_end_are_given_up(delta: dict[str, Any]) -> None:
    """What is kept of one answer is bounded, thoughts and all."""
    data, stream = json.dumps({"choices": [{"delta": delta}]}).encode(), Gathering("m", Refusals())
    with pytest.raises(AnswerUnusable, match="does not end"):
        for _ in range(MAX_TEXT // 10_000 + 1):
            stream.add(data)
