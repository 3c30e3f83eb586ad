"""Condensing beside the answers: bounded, one at a time, paid for in the ledger, and no harm when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.schema import BotConfig, MemorySection
from config.snapshot import BotSpec
from console.sandbox.server import Sandbox
from store.database import Store
from store.messages import StoredMessage
from store.turns import TurnRecord
from tests.waiting import eventually
from workers.chat import summary
from workers.chat.memory import remember
from workers.chat.question import Question
from workers.chat.summary import LONGEST_REST_S, MESSAGE_CHARS, REST_S, TALK_CHARS, Summaries, request_for
from workers.clock import ManualClock
from workers.http import Http
from workers.llm import Providers
from workers.llm.asking import Asker
from workers.metrics import Metrics
from workers.prices import Prices

pytestmark = pytest.mark.anyio


class Condensing:
    """Summaries at work, a bot, its partition and the model's double."""

    def __init__(self, store: Store, sandbox: Sandbox, http: Http, clock: ManualClock) -> None:
        self.store = store
        self.model = sandbox.model
        self.partition = store.partition("support")
        self.metrics = Metrics(clock)
        self.clock = clock
        self.service = Summaries(Asker(Providers(http, clock), clock), Prices(), self.metrics, clock)
        config = BotConfig.model_validate(
            {
                "llm": {"provider": "openai", "model": "double", "base_url": sandbox.model_url},
                "memory": {"type": "summary", "max_messages": 4, "summary_chars": 200},
            }
        )
        self.spec = BotSpec("support", config, Path("bots/support.toml"), "digest")
        self.said = 0

    async def say(self, pairs: int = 1, place: str = "7") -> None:
        for _ in range(pairs):
            self.said += 1
            question, answer = f"q{self.said}", f"a{self.said}"
            record = TurnRecord(None, "", place, "42", "telegram", "answered", question=question, answer=answer)
            await self.partition.record_turn(record, 1)

    async def want(self, place: str = "7") -> StoredMessage | None:
        memory: MemorySection = self.spec.config.memory
        upto = (await remember(memory, self.partition, "", place)).condense_upto
        if upto is not None:
            self.service.want(self.spec, self.partition, Question("", "", place, "42"), upto)
        return upto

    async def text(self, place: str = "7") -> str:
        found = await self.partition.summaries.get("", place)
        return found.text if found else ""

    async def settled(self) -> None:
        await eventually(lambda: self.service.open == 0)


@pytest.fixture
async def condensing(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Condensing]:
    async with Sandbox() as sandbox, await Store.open(tmp_path / "x.db", now_ms=1) as store:
        http = Http()
        made = Condensing(store, sandbox, http, clock)
        running = asyncio.ensure_future(made.service.run())
        yield made
        running.cancel()
        await asyncio.wait([running])
        await http.close()


async def test_older_turns_are_condensed_and_paid_for(condensing: Condensing) -> None:
    """The model gets what is older than the buffer, and the summary before; the ledger knows who it was for."""
    condensing.model.script("They said one and two.", "Up to four.")
    await condensing.say(4)
    await condensing.want()
    await condensing.settled()
    assert await condensing.text() == "They said one and two."
    assert condensing.model.calls[-1].messages[-1]["content"] == "Person: q1\nAssistant: a1\nPerson: q2\nAssistant: a2"
    assert "at most 200 characters" in condensing.model.calls[-1].messages[0]["content"]
    assert await condensing.want() is None
    await condensing.say(2)
    await condensing.want()
    await condensing.settled()
    assert await condensing.text() == "Up to four."
    asked = condensing.model.calls[-1].messages[-1]["content"]
    assert asked.startswith("What was said before, condensed:\nThey said one and two.")
    assert asked.endswith("What was said since:\nPerson: q3\nAssistant: a3\nPerson: q4\nAssistant: a4")
    (spent,) = await condensing.partition.usage.sums("user")
    assert (spent.key, spent.calls, spent.input_tokens > 0, spent.unpriced) == ("42", 2, True, 2)
    tokens, cost = condensing.metrics.figures.today("support")
    assert (tokens, cost) == (spent.input_tokens + spent.output_tokens, None)


async def test_a_summary_is_bounded(condensing: Condensing) -> None:
    """However much the model writes."""
    condensing.model.script("x" * 5000)
    await condensing.say(4)
    await condensing.want()
    await condensing.settled()
    assert await condensing.text() == "x" * 199 + "…"


def test_what_is_given_to_condense_is_bounded() -> None:
    """Each message, and all together; the last ones go in."""
    said = [StoredMessage(n, "user", f"{n} {'y' * 9000}", 0, None) for n in range(100)]
    spec = BotSpec("support", BotConfig(), Path("x"), "digest")
    content = request_for(spec, "", said).messages[-1].content
    assert len(content) < TALK_CHARS + 100
    lines = content.split("\n")
    assert lines[-1].startswith("Person: 99 ")
    assert max(map(len, lines)) <= MESSAGE_CHARS + len("Person: ")


async def test_a_failure_leaves_the_buffer_and_rests(condensing: Condensing) -> None:
    """No second call before its time; what is remembered stays bounded; then it is done after all."""
    condensing.model.faults.fail("chat", "unauthorized", times=None)
    await condensing.say(4)
    await condensing.want()
    await condensing.settled()
    calls = condensing.model.call_count
    await condensing.say(20)
    await condensing.want()
    assert condensing.service.open == 0
    memory = condensing.spec.config.memory
    assert len((await remember(memory, condensing.partition, "", "7")).messages) == 8
    condensing.model.faults.clear()
    await condensing.clock.advance(REST_S + 1)
    await condensing.want()
    await condensing.settled()
    assert condensing.model.call_count == calls + 1
    assert await condensing.text()
    assert LONGEST_REST_S >= REST_S


async def test_what_is_taken_back_meanwhile_is_not_in_the_summary(condensing: Condensing) -> None:
    """A reset while the model condenses: nothing of it is stored, but for what it cost."""
    fault = condensing.model.faults.fail("chat", "hold")
    condensing.model.script("What is gone.")
    await condensing.say(4)
    await condensing.want()
    await fault.reached()
    await condensing.partition.conversations.reset("", "7", 2)
    fault.release()
    await condensing.settled()
    assert await condensing.text() == ""
    assert [spent.calls for spent in await condensing.partition.usage.sums("user")] == [1]


async def test_the_queue_is_bounded_and_a_conversation_in_it_once(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its length a wish is dropped; the same conversation takes one place, with its latest wish."""
    monkeypatch.setattr(summary, "WAITING", 3)
    async with Sandbox() as sandbox, await Store.open(tmp_path / "x.db", now_ms=1) as store:
        http = Http()
        made = Condensing(store, sandbox, http, clock)
        for place in ("1", "2", "2", "3", "4", "5"):
            await made.say(4, place)
            await made.want(place)
        assert made.service.open == 3
        made.service.forget("support")
        assert made.service.open == 0
        await http.close()
