"""One message, one answer: history alternates, failures leave nothing behind, cost is flat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.schema import BotConfig
from config.snapshot import BotSpec
from config.vocabulary import Condition, Role
from console.sandbox.server import Sandbox
from store.database import Store
from store.messages import StoredMessage
from store.partition import Partition
from store.turns import TurnRecord
from tests.waiting import eventually
from workers.channels.base import Lane
from workers.chat.engine import LONGEST_QUESTION, Answer, Engine
from workers.chat.memory import alternating
from workers.chat.question import Question
from workers.clock import ManualClock
from workers.http import Http
from workers.llm import Providers
from workers.llm.asking import Asker

pytestmark = pytest.mark.anyio

LANE = Lane(7)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        yield double


@pytest.fixture
async def partition(tmp_path: Path) -> AsyncIterator[Partition]:
    async with await Store.open(tmp_path / "x.db", now_ms=1) as store:
        yield store.partition("support")


class Asking:
    """An engine, a bot and what it reported."""

    def __init__(self, sandbox: Sandbox, partition: Partition, http: Http, clock: ManualClock) -> None:
        self.engine = Engine(Asker(Providers(http, clock), clock), clock)
        self.partition = partition
        self.sandbox = sandbox
        self.reports: list[tuple[Condition, bool]] = []
        self.sections: dict[str, dict[str, object]] = {
            "llm": {"provider": "openai", "model": "double", "base_url": sandbox.model_url},
            "prompts": {"system": "Be kind."},
        }

        self.left = 0
        """How often the engine went elsewhere."""

    @asynccontextmanager
    async def elsewhere(self) -> AsyncIterator[None]:
        self.left += 1
        yield

    async def ask(self, text: str, update_id: int = 1) -> Answer:
        config = BotConfig.model_validate(self.sections)
        spec = BotSpec("support", config, Path("bots/support.toml"), "digest")
        question = Question(text, "", LANE.conversation_id, "7", update_id=update_id)
        return await self.engine.answer(
            spec,
            self.partition,
            question,
            lambda condition, status, reason="": self.reports.append((condition, status)),
            self.elsewhere(),
        )


@pytest.fixture
async def asking(sandbox: Sandbox, partition: Partition, clock: ManualClock) -> AsyncIterator[Asking]:
    http = Http()
    yield Asking(sandbox, partition, http, clock)
    await http.close()


async def said(partition: Partition, question: str, answer: str) -> None:
    record = TurnRecord(None, "", LANE.conversation_id, "7", "telegram", "answered", question=question, answer=answer)
    await partition.record_turn(record, 1)


async def test_the_model_sees_prompt_history_and_question(sandbox: Sandbox, asking: Asking) -> None:
    """System prompt first, then the remembered turns in order, then the question."""
    await said(asking.partition, "q1", "a1")
    await said(asking.partition, "q2", "a2")
    answer = await asking.ask("q3")
    assert (answer.text, answer.error, answer.provider) == ("q3", "", "openai")
    seen = [(m["role"], m["content"]) for m in sandbox.model.calls[-1].messages]
    assert seen == [
        ("system", "Be kind."), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2"), ("user", "q3"),
    ]  # fmt: skip
    assert asking.reports == [(Condition.MODEL_REACHABLE, True)]


@pytest.mark.parametrize(
    ("memory", "expected"), [({"type": "none"}, 0), ({"max_messages": 3}, 2), ({"max_messages": 4}, 4)]
)
async def test_memory_is_what_the_file_says(
    sandbox: Sandbox, asking: Asking, memory: dict[str, object], expected: int
) -> None:
    """none remembers nothing; a buffer of an odd length begins with a question all the same."""
    for n in range(5):
        await said(asking.partition, f"q{n}", f"a{n}")
    asking.sections["memory"] = memory
    await asking.ask("now")
    roles = [m["role"] for m in sandbox.model.calls[-1].messages[1:-1]]
    assert roles == ["user", "assistant"] * (expected // 2)


@pytest.mark.parametrize(
    ("sections", "left"),
    [
        ({}, 1),
        ({"llm": {"provider": "echo"}}, 0),
        ({"llm": {"provider": "echo", "options": {"delay_s": 0}}}, 1),
        ({"llm": {"provider": "echo"}, "tools": [{"kind": "builtin", "name": "time"}]}, 1),
    ],
)
async def test_the_place_is_left_where_there_is_something_to_wait_for(
    asking: Asking, sections: dict[str, object], left: int
) -> None:
    """To leave it and queue for it again costs a fifth of a turn, which an echo is done without."""
    asking.sections |= sections
    answer = await asking.ask("hello")
    assert (answer.text, asking.left) == ("hello", left)


async def asked_while_time_passes(asking: Asking, clock: ManualClock, *, step_s: float = 0.25) -> tuple[Answer, float]:
    """Return an answer and how many seconds passed until it came."""
    answers: list[Answer] = []
    calls = asking.sandbox.model

    async def one() -> None:
        answers.append(await asking.ask("hello"))

    async def later() -> list[Answer]:
        if calls.call_count > calls.answered and not answers:
            await clock.advance(step_s)
        return answers

    began = clock.monotonic()
    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await eventually(later)
    return answers[0], clock.monotonic() - began


async def test_a_passing_failure_is_tried_again(sandbox: Sandbox, asking: Asking, clock: ManualClock) -> None:
    """Two outages, then an answer: the person gets it, and the model never counted as out of reach."""
    sandbox.model.faults.fail("chat", "server_error", times=2)
    answer, passed_s = await asked_while_time_passes(asking, clock)
    assert (answer.text, answer.error) == ("hello", "")
    assert sandbox.model.call_count == 3
    assert passed_s >= 0.25 + 0.5
    assert answer.latency_s == pytest.approx(passed_s, abs=0.5)
    assert asking.reports == [(Condition.MODEL_REACHABLE, True)]


async def test_a_failure_that_stays_is_given_up_after_three_tries(
    sandbox: Sandbox, asking: Asking, clock: ManualClock
) -> None:
    """Three calls, no more; then the error text, and one report."""
    sandbox.model.faults.fail("chat", "reset", times=None)
    answer, _ = await asked_while_time_passes(asking, clock)
    assert (answer.completion, answer.text) == (None, BotConfig().reply.error_text)
    assert "cannot be reached" in answer.error
    assert sandbox.model.call_count == 3
    assert asking.reports == [(Condition.MODEL_REACHABLE, False)]


async def test_a_servers_wish_for_patience_is_honoured(sandbox: Sandbox, asking: Asking, clock: ManualClock) -> None:
    """Retry-After is the least wait before the next try."""
    sandbox.model.faults.fail("chat", "flood", retry_after=7)
    answer, passed_s = await asked_while_time_passes(asking, clock)
    assert answer.text == "hello"
    assert passed_s >= 7


async def test_a_time_out_is_tried_again(sandbox: Sandbox, asking: Asking, clock: ManualClock) -> None:
    """A call that takes longer than timeout_s is given up, and the next may do better."""
    asking.sections["llm"] = {**asking.sections["llm"], "timeout_s": 5.0}
    sandbox.model.faults.fail("chat", "hang")
    answer, passed_s = await asked_while_time_passes(asking, clock)
    assert answer.text == "hello"
    assert passed_s >= 5


async def test_an_edit_counts_from_the_next_turn(sandbox: Sandbox, asking: Asking) -> None:
    """Prompt, memory and provider are read when a turn begins; the engine remembers nothing of an earlier file."""
    await said(asking.partition, "q1", "a1")
    await asking.ask("one")
    asking.sections |= {"prompts": {"system": " "}, "memory": {"type": "none"}}
    await asking.ask(" as it is ")
    assert [m["content"] for m in sandbox.model.calls[-1].messages] == [" as it is "]
    asking.sections["llm"] = {"provider": "echo"}
    answer = await asking.ask("two")
    assert (answer.text, answer.provider, sandbox.model.call_count) == ("two", "echo", 2)
    asking.sections["llm"] = {"provider": "echo", "options": {"dely_s": 1}}
    answer = await asking.ask("three")
    assert answer.completion is None
    assert "dely_s" in answer.error


@pytest.mark.parametrize(("kind", "options"), [("unauthorized", {}), ("flood", {"retry_after": 60})])
async def test_a_lasting_failure_becomes_the_error_text_at_once(
    sandbox: Sandbox, asking: Asking, kind: str, options: dict[str, object]
) -> None:
    """A refusal, or a server that wants more patience than a person has, is answered without a second call."""
    asking.sections["reply"] = {"error_text": "Not now."}
    sandbox.model.faults.fail("chat", kind, times=None, **options)
    answer = await asking.ask("hello")
    assert (answer.text, answer.completion) == ("Not now.", None)
    assert answer.error
    assert sandbox.model.call_count == 1
    assert asking.reports == [(Condition.MODEL_REACHABLE, False)]


@given(st.lists(st.sampled_from(["user", "assistant"]), max_size=12))
def test_whatever_is_stored_roles_alternate(roles: list[str]) -> None:
    """Even a history with holes in it is shown to the model as user, assistant, user, assistant."""
    shown = alternating([StoredMessage(n, role, str(n), 0, None) for n, role in enumerate(roles)])
    assert [m.role for m in shown] == [Role.USER, Role.ASSISTANT] * (len(shown) // 2)
    if roles == ["user", "assistant"] * (len(roles) // 2):
        assert len(shown) == len(roles)


async def test_why_there_is_no_answer_holds_no_secret(sandbox: Sandbox, asking: Asking) -> None:
    """A server quotes its request: neither the answer's error nor what is reported tells."""
    asking.engine = Engine(asking.engine.asker, ManualClock(), clean=lambda text: text.replace("hunter22", "***"))
    sandbox.model.faults.fail("chat", "unauthorized", times=None, description="not hunter22")
    reasons: list[str] = []
    config = BotConfig.model_validate(asking.sections)
    spec, question = BotSpec("support", config, Path("x"), "digest"), Question("hi", "", LANE.conversation_id, "7")
    answer = await asking.engine.answer(
        spec, asking.partition, question, lambda _condition, _status, reason: reasons.append(reason)
    )
    assert "not ***" in answer.error
    assert reasons == [answer.error]


async def test_a_message_without_end_is_cut(sandbox: Sandbox, asking: Asking) -> None:
    """It goes along with every later one: neither the model nor the database gets it whole."""
    answer = await asking.ask("y" * 1_000_000)
    assert len(answer.question) == LONGEST_QUESTION
    assert len(sandbox.model.calls[-1].messages[-1]["content"]) == LONGEST_QUESTION
