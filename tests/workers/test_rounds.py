"""Asking in rounds: calls side by side, results in order, limits, and what a turn costs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from config.vocabulary import Role
from tests.waiting import eventually
from tests.workers.tools_rig import Bench, bench
from workers.chat.engine import Engine
from workers.chat.question import Question
from workers.chat.rounds import CALLS, Conversed, converse
from workers.clock import ManualClock
from workers.errors import ProviderRefused
from workers.llm.asking import Asker
from workers.llm.base import Chunk, Completion, CompletionRequest, Message, ToolCall, Usage
from workers.tools.base import ToolContext

pytestmark = pytest.mark.anyio

Wanted = Sequence[tuple[str, dict[str, Any] | str]]


class Model:
    """A provider that says what it was told to, one after the other, and keeps what it was asked."""

    def __init__(self) -> None:
        self.script: list[Completion | Exception] = []
        self.asked: list[CompletionRequest] = []

    def wants(self, *calls: tuple[str, dict[str, Any] | str], text: str = "") -> None:
        """Call tools next."""
        made = tuple(
            ToolCall(f"c{len(self.script)}.{number}", name, given if isinstance(given, str) else json.dumps(given))
            for number, (name, given) in enumerate(calls)
        )
        self.script.append(Completion(text, Usage(10, 2, 1), "double", "tool_calls", made))

    def says(self, text: str) -> None:
        """Answer next."""
        self.script.append(Completion(text, Usage(20, 4, 3), "double"))

    def get(self, config: Any) -> Model:
        return self

    async def complete(self, request: CompletionRequest) -> Completion:
        self.asked.append(request)
        said = self.script.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def stream(self, request: CompletionRequest) -> AsyncIterator[Chunk]:
        completion = await self.complete(request)
        yield Chunk(completion.text)
        yield Chunk(completion=completion)

    @property
    def results(self) -> list[str]:
        """What the last ask said that tools had given."""
        return [m.content for m in self.asked[-1].messages if m.role is Role.TOOL]


class Listening:
    """Hears an answer while it is made."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def piece(self, text: str) -> None:
        self.heard.append(text)

    def restart(self) -> None:
        self.heard.append("<restart>")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    async with bench(tmp_path, clock) as made:
        yield made


async def ask(
    desk: Bench, model: Model, listener: Listening | None = None, context: ToolContext | None = None
) -> Conversed:
    config = desk.spec().config
    request = CompletionRequest("", (Message(Role.USER, "?"),))
    asker = Asker(model, desk.clock)  # type: ignore[arg-type]
    return await converse(
        asker, (config.llm,), request, desk.box, context or desk.context(), config.limits, listener
    )  # fmt: skip


COUNTING = """
import threading, itertools
calls = []
def note(n: int, fail: bool = False) -> str:
    calls.append(n)
    if fail:
        raise RuntimeError("failed")
    return f"{n}/{len(calls)}"
"""


async def test_without_tools_there_is_one_ask_and_nothing_else(desk: Bench, model: Model) -> None:
    """No tools are offered, none called."""
    model.says("hello")
    done = await ask(desk, model)
    assert (done.completion.text, done.usage, done.provider, done.rounds) == ("hello", Usage(20, 4, 3), "echo", 0)
    assert model.asked[0].tools == ()
    assert desk.events() == []


async def test_tools_are_called_and_the_model_is_asked_again(desk: Bench, model: Model) -> None:
    """The messages are question, call, result; usage is the sum; each call is an event."""
    desk.tool("calculator", "builtin")
    model.wants(("calculator", {"expression": "6*7"}), text="Let me see.")
    model.says("42 it is")
    done = await ask(desk, model)
    assert (done.completion.text, done.usage, done.rounds) == ("42 it is", Usage(30, 6, 4), 1)
    assert done.completion.usage == done.usage
    first, second = model.asked
    assert [spec.name for spec in first.tools] == [spec.name for spec in second.tools] == ["calculator"]
    question, call, result = second.messages
    assert (question.role, call.role, call.content) == (Role.USER, Role.ASSISTANT, "Let me see.")
    assert [(c.id, c.name) for c in call.tool_calls] == [("c0.0", "calculator")]
    assert (result.role, result.content, result.tool_call_id) == (Role.TOOL, "42", "c0.0")
    [event] = desk.events()
    assert event.data() == {"update_id": 1, "tool": "calculator", "duration_s": 0.0, "error": ""}


async def test_calls_of_one_round_run_side_by_side_and_keep_their_order(desk: Bench, model: Model) -> None:
    """At most tools_at_once of them, and results stand in the order of the calls."""
    desk.sections["limits"] = {"tools_at_once": 3}
    desk.python(
        "import anyio\n"
        "class Hall:\n    inside = most = 0\n    gate = anyio.Event()\n"
        "async def visit(n: int) -> str:\n"
        "    Hall.inside += 1\n    Hall.most = max(Hall.most, Hall.inside)\n"
        "    await Hall.gate.wait()\n    Hall.inside -= 1\n    return f'guest {n}'\n",
        "visit",
    )  # fmt: skip
    model.wants(*[("visit", {"n": n}) for n in range(5)])
    model.says("done")
    await desk.box.specs()
    hall = desk.box._tools["visit"]._function.__globals__["Hall"]  # type: ignore[attr-defined]
    async with anyio.create_task_group() as group:
        group.start_soon(ask, desk, model)
        await eventually(lambda: hall.inside == 3)
        hall.gate.set()
    assert hall.most == 3
    assert model.results == [f"guest {n}" for n in range(5)]


async def test_the_same_call_is_made_once_in_a_turn(desk: Bench, model: Model) -> None:
    """Within a round and in later ones, however its arguments are written; one that failed is made again."""
    desk.python(COUNTING, "note")
    model.wants(("note", {"n": 1}), ("note", '{ "n" : 1 }'), ("note", {"n": 2, "fail": True}))
    model.wants(("note", {"n": 1}), ("note", {"n": 2, "fail": True}))
    model.says("done")
    done = await ask(desk, model)
    assert model.results == ["1/1", "1/1", "Error: RuntimeError: failed", "1/1", "Error: RuntimeError: failed"]
    assert desk.box._tools["note"]._function.__globals__["calls"] == [1, 2, 2]  # type: ignore[attr-defined]
    assert done.rounds == 2
    model.wants(("note", {"n": 1}))
    model.says("done")
    await ask(desk, model)
    assert model.results == ["1/4"], "another turn, another call"


async def test_rounds_are_limited_and_the_last_ask_offers_no_tools(desk: Bench, model: Model) -> None:
    """A model that calls tools for ever is asked once more without them; what it calls then is not called."""
    desk.sections["limits"] = {"tool_rounds": 2}
    desk.python(COUNTING, "note")
    for n in range(3):
        model.wants(("note", {"n": n}), text=f"round {n}")
    done = await ask(desk, model)
    assert [bool(request.tools) for request in model.asked] == [True, True, False]
    assert (done.completion.text, done.rounds, done.usage) == ("round 2", 2, Usage(30, 6, 3))
    assert desk.box._tools["note"]._function.__globals__["calls"] == [0, 1]  # type: ignore[attr-defined]


async def test_a_model_that_calls_far_too_much_is_told_so(desk: Bench, model: Model) -> None:
    """Every call has a result, CALLS of them are made."""
    desk.python(COUNTING, "note")
    model.wants(*[("note", {"n": n}) for n in range(CALLS + 3)])
    model.says("done")
    await ask(desk, model)
    assert len(model.results) == CALLS + 3
    assert model.results[-3:] == [f"Error: only {CALLS} tools may be called at once"] * 3
    assert len(desk.events()) == CALLS


async def test_calls_no_tool_can_take_are_told(desk: Bench, model: Model) -> None:
    """An invented name, arguments that are no JSON: the model reads what there is and goes on."""
    desk.tool("time", "builtin")
    model.wants(("tiem", {}), ("time", "{"), ("x" * 500, "{}"))
    model.says("done")
    await ask(desk, model)
    first, second, third = model.results
    assert first == "Error: there is no tool 'tiem'; there are: time"
    assert second.startswith("Error: the arguments are no JSON")
    assert len(third) < 200
    assert max(len(event.tool) for event in desk.events()) == 64


async def test_suggestions_beside_an_answer_cost_no_other_ask(desk: Bench, model: Model) -> None:
    """An answer with nothing but `suggest` beside it is the answer; without a text the model is asked for one."""
    desk.sections["reply"] = {"suggestions": True}
    model.wants(("suggest", {"replies": ["More", "Stop"]}), text="The answer.")
    done = await ask(desk, model)
    assert (done.completion.text, done.suggestions, len(model.asked)) == ("The answer.", ("More", "Stop"), 1)
    model.wants(("suggest", {"replies": ["Why?"]}))
    model.says("Because.")
    done = await ask(desk, model)
    assert (done.completion.text, done.suggestions) == ("Because.", ("Why?",))


async def test_a_listener_begins_anew_with_each_ask(desk: Bench, model: Model) -> None:
    """What was said beside a call does not stay in the answer."""
    desk.tool("time", "builtin")
    model.wants(("time", {}), text="One moment.")
    model.says("It is ten.")
    listener = Listening()
    await ask(desk, model, listener)
    assert listener.heard == ["One moment.", "<restart>", "It is ten."]


async def test_a_model_that_fails_between_rounds_fails_the_turn(desk: Bench, model: Model) -> None:
    """The error is the provider's; what was called is told as events."""
    desk.tool("time", "builtin")
    model.wants(("time", {}))
    model.script.append(ProviderRefused("no credit"))
    with pytest.raises(ProviderRefused, match="no credit"):
        await ask(desk, model)
    assert [event.tool for event in desk.events()] == ["time"]


async def test_a_turn_can_be_cancelled_anywhere(desk: Bench, model: Model) -> None:
    """While a tool runs: its task ends with the turn, and the same turn asked again calls it again."""
    desk.python(
        "import anyio\n"
        "state = []\n"
        "async def wait() -> str:\n"
        "    state.append('began')\n"
        "    try:\n        await anyio.sleep(3600)\n"
        "    finally:\n        state.append('ended')\n"
        "async def other() -> str:\n    return await wait()\n",
        "wait", "other",
    )  # fmt: skip
    await desk.box.specs()
    state = desk.box._tools["wait"]._function.__globals__["state"]  # type: ignore[attr-defined]
    for turn in (1, 2):
        model.wants(("wait", {}), ("other", {}))
        async with anyio.create_task_group() as group:
            group.start_soon(ask, desk, model)
            await eventually(lambda turn=turn: state.count("began") == 2 * turn)
            group.cancel_scope.cancel()
        assert state.count("ended") == 2 * turn


async def test_results_are_cut_to_what_the_bot_allows(desk: Bench, model: Model) -> None:
    """tool_output_chars, the note that it was cut included."""
    desk.sections["limits"] = {"tool_output_chars": 200}
    desk.python("def long() -> str: return 'x' * 100_000\n", "long")
    model.wants(("long", {}))
    model.says("done")
    await ask(desk, model)
    assert len(model.results[0]) == 200
    assert model.results[0].endswith("… (cut: the whole has 100000 characters)")


async def test_the_engine_answers_with_tools(desk: Bench, model: Model) -> None:
    """The whole way of a question: tools and suggestions are in the answer, tokens of all rounds counted."""
    desk.sections["reply"] = {"suggestions": True}
    desk.tool("calculator", "builtin")
    model.wants(("calculator", {"expression": "6*7"}))
    model.wants(("suggest", {"replies": ["And 8?"]}), text="42.")
    engine = Engine(Asker(model, desk.clock), desk.clock, desk.boxes)  # type: ignore[arg-type]
    question = Question("6 times 7?", "", "7", "7", update_id=5)
    answer = await engine.answer(desk.spec(), desk.partition, question, lambda *_: None)
    assert (answer.text, answer.error, answer.suggestions) == ("42.", "", ("And 8?",))
    assert answer.completion is not None
    assert answer.completion.usage == Usage(20, 4, 2)
    assert [(event.tool, event.update_id) for event in desk.events()] == [("calculator", 5), ("suggest", 5)]


async def test_a_bot_without_tools_has_no_toolbox_of_its_own(desk: Bench) -> None:
    """All such bots share one, which is falsy and offers nothing at once."""
    one, other = desk.boxes.of(desk.spec("one")), desk.boxes.of(desk.spec("other"))
    assert one is other
    assert not one
    desk.tool("time", "builtin")
    with_tools = desk.boxes.of(desk.spec("one"))
    assert with_tools
    assert desk.boxes.of(desk.spec("one")) is with_tools
    assert with_tools is not desk.boxes.of(desk.spec("other"))
    desk.sections["tools"] = []
    assert desk.boxes.of(desk.spec("one")) is one
    assert len(desk.boxes._made) == 1
