"""Two clients, and two bots, that use one conversation's id and one person's: whatever is done, they never meet."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from config.vocabulary import Role
from tests.waiting import eventually
from tests.workers.talk_rig import Piece, Place, place
from workers.bot import Bot, BotContext
from workers.clock import ManualClock
from workers.llm.base import CompletionRequest, ToolCall

WHO = [(bot_id, client_id) for bot_id in ("one", "two") for client_id in ("", "alice", "bob")]
"""The client "" is the bot's own, which its configuration names."""
MARK = re.compile(r"<[a-z]+\.[a-z]+>")
TOOL = "from workers.tools.base import Caller\n\ndef who(caller: Caller) -> str:\n    return f'<{caller.bot_id}.{caller.client_id}>'\n"


class Step(NamedTuple):
    """One thing one of them does."""

    who: int
    does: str
    text: str


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, len(WHO) - 1),
        st.sampled_from(
            ["ask", "ask", "ask", "stream", "stream", "undo", "clear", "choose", "learn", "tool", "forget", "leave"]
        ),
        st.text("abc", min_size=1, max_size=3),
    ),
    min_size=6,
    max_size=30,
)


class World:
    """Two bots on one store, and what ought to be said in each conversation."""

    def __init__(self, here: Place, memory: str) -> None:
        self.here = here
        (here.store.path.parent / "tools").mkdir()
        (here.store.path.parent / "tools" / "mine.py").write_text(TOOL, encoding="utf-8")
        self.bots: dict[str, Bot] = {
            bot_id: here.bot(
                bot_id,
                client_id="own",
                memory={"type": memory, "max_messages": 2, "profile": True},
                prompts={"system": "Be kind."},
                tools=[{"name": "who", "kind": "python", "callable": "mine:who"}],
            )
            for bot_id in ("one", "two")
        }
        self.said: dict[str, list[str]] = defaultdict(list)
        self.models: dict[str, str] = {}
        here.model.script = self.answer

    def answer(self, request: CompletionRequest) -> Sequence[Piece]:
        """Answer as whoever asks, having looked for anybody else in all that the model is told."""
        text = "\n".join(message.content for message in request.messages)
        marks = set(MARK.findall(text))
        assert len(marks) == 1, f"they met: {marks}"
        mark = marks.pop()
        if "Condense the conversation" in text:
            return [f"condensed {mark}"]
        assert request.model == self.models.get(mark, "double")
        question = next(m.content for m in reversed(request.messages) if m.role is Role.USER)
        if request.messages[-1].role is Role.USER and question.startswith("learn"):
            return [ToolCall("1", "remember", f'{{"fact": "name", "value": "{mark}"}}'), ToolCall("2", "recall", "{}")]
        if request.messages[-1].role is Role.USER and question.startswith("tool"):
            return [ToolCall("1", "who", "{}")]
        return [f"re {question}"]

    async def do(self, step: Step) -> None:
        bot_id, client_id = WHO[step.who]
        mark = f"<{bot_id}.{client_id or 'own'}>"
        bot, context = self.bots[bot_id], BotContext("same", client_id, "same")
        said, message = self.said[mark], f"{step.does} {step.text} {mark}"
        conversations = self.here.store.partition(bot_id).conversations
        match step.does:
            case "ask" | "learn" | "tool":
                said += [message, await bot.chat(message, context)]
            case "stream":
                said += [message, "".join([piece async for piece in bot.stream_chat(message, context)])]
            case "leave":
                stream = bot.stream_chat(message, context)
                await anext(stream)
                await stream.aclose()
            case "undo":
                assert await bot.undo_last_turn(context) is bool(said)
                del said[-2:]
            case "clear":
                assert await bot.clear_conversation(context) is bool(said)
                said.clear()
            case "choose":
                self.models[mark] = "other"
                await conversations.choose_model(client_id or "own", "same", "other", 1)
            case "forget":
                await conversations.forget(client_id or "own", "same")
                said.clear()
                self.models.pop(mark, None)

    async def check(self) -> None:
        """Everybody sees what they said, and nothing else."""
        await eventually(lambda: self.here.services.engine.summaries.open == 0)  # type: ignore[union-attr]
        for bot_id, client_id in WHO:
            mark = f"<{bot_id}.{client_id or 'own'}>"
            found = await self.bots[bot_id].get_conversation(BotContext("same", client_id, "same"))
            assert [m.content for m in found.messages if found] == self.said[mark] if found else not self.said[mark]
            partition = self.here.store.partition(bot_id)
            facts = await partition.profiles.all(client_id or "own", "same")
            assert set(facts.values()) <= {mark}
            summary = await partition.summaries.get(client_id or "own", "same")
            assert summary is None or set(MARK.findall(summary.text)) <= {mark}


async def course(memory: str, steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with place(Path(folder), ManualClock()) as here:
            world = World(here, memory)
            condensing = asyncio.create_task(here.services.engine.summaries.run())  # type: ignore[union-attr]
            for step in steps:
                await world.do(step)
            await world.check()
            condensing.cancel()
            await asyncio.wait((condensing,))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["none", "buffer", "summary", "summary"]), STEPS)
def test_clients_never_meet(memory: str, steps: list[Step]) -> None:
    """Messages, summaries, profiles, what tools are told and chosen models belong to (bot, client, conversation)."""
    asyncio.run(course(memory, steps))


def test_all_at_once() -> None:
    """The same with everybody speaking at the same time, for long enough to be condensed several times."""

    async def everybody() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with place(Path(folder), ManualClock()) as here:
                world = World(here, "summary")
                condensing = asyncio.create_task(here.services.engine.summaries.run())  # type: ignore[union-attr]

                async def one(who: int) -> None:
                    for number in range(12):
                        await world.do(Step(who, ("ask", "learn", "stream", "tool")[number % 4], "a"))

                await asyncio.gather(*(one(who) for who in range(len(WHO))))
                await world.check()
                assert here.rows("summaries", "one") == 3
                condensing.cancel()
                await asyncio.wait((condensing,))

    asyncio.run(everybody())
