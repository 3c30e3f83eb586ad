"""An answer taken piece by piece: the pieces add up to what is stored, and who leaves early leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.texts import storable
from tests.waiting import eventually
from tests.workers.talk_rig import ALICE, Piece, Place, place
from workers.bot import Bot, BotContext
from workers.chat.engine import LONGEST_ANSWER
from workers.clock import ManualClock
from workers.deltas import Course, Deltas, Note, Restarted, ToolStep
from workers.errors import BotClosed, ProviderRefused, ProviderUnavailable, RateLimitError, TurnFailedError
from workers.exchange import Reply
from workers.llm.base import CompletionRequest, ToolCall

pytestmark = pytest.mark.anyio

T = TypeVar("T")


@pytest.fixture
async def here(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Place]:
    async with place(tmp_path, clock) as made:
        yield made


async def streamed(bot: Bot, message: str = "one") -> list[str]:
    return [piece async for piece in bot.stream_chat(message, ALICE)]


async def in_time(clock: ManualClock, work: asyncio.Task[list[T]]) -> list[T]:
    """Let time pass until something is done: an ask that failed is tried again after a while."""

    async def look() -> bool:
        await clock.advance(0.5)
        return work.done()

    await eventually(look)
    return await work


def in_turn(*scripts: Sequence[Piece]) -> object:
    """The pieces of one ask after the other."""
    left = list(scripts)
    return lambda request: left.pop(0)


async def test_the_pieces_add_up_to_what_is_stored(here: Place) -> None:
    """Each piece comes as it is said; after the last one the answer is in the file."""
    bot = here.bot()
    here.model.hold()
    here.model.script = lambda request: ["a", "b", "c"]
    stream = bot.stream_chat("one", ALICE)
    asking = asyncio.ensure_future(anext(stream))
    await eventually(lambda: here.model.waiting == 1)
    assert here.rows("messages") == 0
    here.model.release()
    pieces = [await asking] + [piece async for piece in stream]
    assert "".join(pieces) == "abc"
    assert here.rows("messages") == 2
    assert await here.said(bot) == ["one", "abc"]
    assert bot.in_use == 0


@pytest.mark.parametrize("how", ["close", "break", "cancel", "close before the first", "close after the last piece"])
async def test_who_leaves_early_leaves_nothing(here: Place, how: str) -> None:
    """The model is given up, nothing is stored, and the next question of the conversation has its turn."""
    bot = here.bot()
    here.model.script = lambda request: ["a", "b"]

    async def read() -> None:
        async with aclosing(bot.stream_chat("one", ALICE)) as stream:
            async for _ in stream:
                if how == "break":
                    break
                await anyio.sleep_forever()

    if how == "close before the first":
        await bot.stream_chat("one", ALICE).aclose()
    elif how.startswith("close"):
        stream = bot.stream_chat("one", ALICE)
        said = await anext(stream)
        while "last" in how and said != "ab":
            said += await anext(stream)
        await stream.aclose()
    elif how == "break":
        await read()
    else:
        reading = asyncio.create_task(read())
        await eventually(lambda: here.model.requests)
        for _ in range(20):
            await anyio.sleep(0)
        reading.cancel()
        await asyncio.wait((reading,))
    assert (here.rows("messages"), here.rows("usage"), bot.in_use) == (0, 0, 0)
    assert await bot.chat("two", ALICE) == "ab"
    assert await here.said(bot) == ["two", "ab"]


async def test_a_model_in_mid_answer_is_given_up(here: Place) -> None:
    """Nobody pays for what nobody reads."""
    bot = here.bot()
    here.model.script = cut_short(here)
    async with aclosing(bot.stream_chat("one", ALICE)) as stream:
        assert await anext(stream) == "a"
        assert here.model.waiting == 1
    assert (here.model.waiting, here.model.given_up, here.rows("messages")) == (0, 1, 0)


async def test_a_failure_after_the_reader_has_left_is_no_noise(here: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is there to hear of it, and that is no error of its own."""
    bot = here.bot()
    here.model.script = lambda request: ["a", ProviderRefused("no")]
    async with aclosing(bot.stream_chat("one", ALICE)) as stream:
        assert await anext(stream) == "a"
        await eventually(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "support/answer"])
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


def cut_short(here: Place) -> Callable[[CompletionRequest], Iterator[Piece]]:
    """An answer that hangs after its first piece."""

    def script(request: CompletionRequest) -> Iterator[Piece]:
        yield "a"
        here.model.hold()
        yield "b"

    return script


async def test_a_stream_dropped_without_being_closed_ends_too(here: Place) -> None:
    """`break` out of a plain loop: the loop closes what nobody holds."""
    bot = here.bot()
    async for _ in bot.stream_chat("one", ALICE):
        break
    await eventually(lambda: bot.in_use == 0)
    assert here.rows("messages") == 0


async def test_what_a_round_of_tools_says_is_not_handed_on(here: Place) -> None:
    """What was said before a tool was called is no part of the answer."""
    bot = here.bot(tools=[{"name": "time", "kind": "builtin"}])
    here.model.script = in_turn(["Let me see. ", ToolCall("1", "time", "{}")], ["It is ", "late."])  # type: ignore[assignment]
    assert "".join(await streamed(bot)) == "It is late."
    assert await here.said(bot) == ["one", "It is late."]


async def followed(bot: Bot, message: str = "one") -> list[str | Note]:
    """What somebody who follows is told, up to the reply; pieces that came together stand together."""
    *told, reply = [said async for said in bot.follow_reply(message, ALICE)]
    assert isinstance(reply, Reply)
    course: list[str | Note] = []
    for said in told:
        assert not isinstance(said, Reply)
        if isinstance(said, str) and course and isinstance(course[-1], str):
            course[-1] += said
        else:
            course.append(said)
    stands = course[course.index(Restarted()) :] if Restarted() in course else course
    assert "".join([said for said in stands if isinstance(said, str)]) == reply.text
    return course


async def test_who_follows_hears_each_round_and_each_tool(here: Place) -> None:
    """What was said before a call comes as it is said, and is taken back when the answer goes on otherwise."""
    bot = here.bot(tools=[{"name": "time", "kind": "builtin"}, {"name": "calculator", "kind": "builtin"}])
    calls = ToolCall("1", "time", "{}"), ToolCall("2", "calculator", '{"expression": "1/0"}')
    here.model.script = in_turn(["Let me see. ", *calls], ["It is ", "late."])  # type: ignore[assignment]
    saw, one, two, again, late = await by_kind(bot)
    assert (saw, again, late) == ("Let me see. ", Restarted(), "It is late.")
    assert [(step.number, step.name, step.state) for step in one] == [(1, "time", "begun"), (2, "calculator", "begun")]
    assert {(step.number, step.state) for step in two} == {(1, "done"), (2, "failed")}
    assert await here.said(bot) == ["one", "It is late."]


async def by_kind(bot: Bot) -> tuple[object, list[ToolStep], list[ToolStep], object, object]:
    """The course of an answer of two rounds: its words, calls begun, calls ended, taken back, its words."""
    said, *steps, again, late = await followed(bot)
    found = [step for step in steps if isinstance(step, ToolStep)]
    return said, [s for s in found if s.state == "begun"], [s for s in found if s.state != "begun"], again, late


async def test_a_round_that_goes_on_as_it_began_is_not_taken_back(here: Place) -> None:
    """What stands already is not said again; what is offered beside an answer is no round of its own."""
    bot = here.bot(tools=[{"name": "time", "kind": "builtin"}], reply={"suggestions": True})
    here.model.script = in_turn(
        ["It ", ToolCall("1", "time", "{}")], ["It is ", "late.", ToolCall("2", "suggest", SUGGESTED)]
    )  # type: ignore[assignment]
    course = await followed(bot)
    assert [said for said in course if not isinstance(said, ToolStep)] == ["It ", "is late."]
    assert [step.name for step in course if isinstance(step, ToolStep)] == ["time", "time", "suggest", "suggest"]


SUGGESTED = '{"replies": ["And now?"]}'


async def test_an_answer_that_says_less_than_was_handed_on_is_told_anew(here: Place) -> None:
    """It agrees as far as it goes, but it ends before."""
    bot = here.bot(tools=[{"name": "time", "kind": "builtin"}])
    here.model.script = in_turn(["It is late.", ToolCall("1", "time", "{}")], ["It is"])  # type: ignore[assignment]
    said, *_, again, rest = await followed(bot)
    assert (said, again, rest) == ("It is late.", Restarted(), "It is")


async def test_a_model_that_failed_in_mid_answer_is_taken_back(here: Place, clock: ManualClock) -> None:
    """Another try that goes on otherwise is no error to who follows."""
    bot = here.bot()
    here.model.script = in_turn(["Good ", ProviderUnavailable("cut off")], ["Hello"])  # type: ignore[assignment]
    work = asyncio.create_task(followed(bot))
    assert await in_time(clock, work) == ["Good ", Restarted(), "Hello"]
    assert await here.said(bot) == ["one", "Hello"]


async def test_a_failed_link_that_begins_anew_the_same_way_goes_on(here: Place, clock: ManualClock) -> None:
    """What was handed on already is not handed on again."""
    bot = here.bot()
    here.model.script = in_turn(["Good ", ProviderUnavailable("cut off")], ["Go", "od mor", "ning"])  # type: ignore[assignment]
    pieces = await in_time(clock, asyncio.create_task(streamed(bot)))
    assert "".join(pieces) == "Good morning"
    assert await here.said(bot) == ["one", "Good morning"]


async def test_a_failed_link_followed_by_another_answer_is_an_error(here: Place, clock: ManualClock) -> None:
    """What was handed on cannot be taken back: nothing is stored but what it took."""
    bot = here.bot()
    here.model.script = in_turn(["Good ", ProviderUnavailable("cut off")], ["Hello"])  # type: ignore[assignment]
    with pytest.raises(TurnFailedError, match="went on otherwise"):
        await in_time(clock, asyncio.create_task(streamed(bot)))
    assert (here.rows("messages"), here.rows("usage"), bot.in_use) == (0, 1, 0)


async def test_pieces_nobody_took_yet_are_taken_back(here: Place, clock: ManualClock) -> None:
    """A reader that is slower than the failure hears of the second attempt only."""
    bot = here.bot()
    here.model.script = in_turn(["a"], ["b"])  # type: ignore[assignment]
    deltas = Deltas(hold=False)
    deltas.piece("one")
    deltas.restart()
    deltas.piece("two")
    deltas.end()
    assert ([piece async for piece in deltas], deltas.rest("two")) == (["two"], "")
    deltas.restart()
    deltas.piece("else")
    deltas.piece("where")
    assert ([piece async for piece in deltas], deltas.rest("elsewhere")) == ([], None)
    assert await streamed(bot) == ["a"]


async def test_errors_come_out_of_the_stream(here: Place) -> None:
    """A refusal, a limit, a closed bot, a message that is none."""
    bot = here.bot(limits={"client_per_min": 2})
    here.model.script = lambda request: [ProviderRefused("no")]
    with pytest.raises(TurnFailedError):
        await streamed(bot)
    here.model.script = lambda request: ["a", ProviderRefused("no")]
    with pytest.raises(TurnFailedError):
        await streamed(bot)
    with pytest.raises(RateLimitError):
        await streamed(bot)
    with pytest.raises(ValueError, match="message"):
        await streamed(bot, " ")
    await bot.close()
    with pytest.raises(BotClosed):
        await streamed(bot)
    assert here.rows("messages") == 0


@pytest.mark.parametrize(
    "pieces",
    [
        ["x" * 1000] * 40,
        ["x" * (LONGEST_ANSWER + 1)],
        ["x" * (LONGEST_ANSWER - 1), "y"],
        ["x" * (LONGEST_ANSWER - 1), "y", "z"],
        ["half ", "\ud83d", "\ude00 whole"],
        ["", "a", "", "b", ""],
        ["ü", "🙂"],
    ],
)
async def test_whatever_a_model_says_the_sum_is_what_is_stored(here: Place, pieces: list[str]) -> None:
    """Also where the answer is cut for its length, or made fit to be stored."""
    bot = here.bot()
    here.model.script = lambda request: pieces
    said = await streamed(bot)
    assert "".join(said) == (await here.said(bot))[1]
    assert all(said)


@given(
    attempts=st.lists(st.lists(st.text("ab\ud83d\ude00", max_size=3), max_size=5), min_size=1, max_size=4),
    taken=st.lists(st.booleans(), max_size=40),
)
def test_what_was_handed_on_is_never_taken_back(attempts: list[list[str]], taken: list[bool]) -> None:
    """Whatever is said and begun anew, and whenever the reader comes: the sum is the answer, or the answer is refused."""

    async def course() -> None:
        deltas, moments, heard = Deltas(hold=False), iter(taken), ""
        for number, attempt in enumerate(attempts):
            if number:
                deltas.restart()
            for piece in attempt:
                deltas.piece(piece)
                if next(moments, False) and deltas._new:
                    heard += str(await anext(deltas))
        deltas.end()
        heard += "".join([str(piece) async for piece in deltas])
        answer = storable("".join(attempts[-1]))
        rest = deltas.rest(answer)
        assert rest is None or heard + rest == answer
        if len(attempts) == 1:
            assert rest is not None

    asyncio.run(course())


@given(
    attempts=st.lists(st.lists(st.text("ab\ud83d\ude00", max_size=3), max_size=5), min_size=1, max_size=4),
    taken=st.lists(st.booleans(), max_size=40),
)
def test_who_can_take_back_ends_with_the_answer(attempts: list[list[str]], taken: list[bool]) -> None:
    """Whatever the rounds say, and whenever the reader comes; nothing is taken back that stands."""

    async def course() -> None:
        deltas, moments, heard, steps = Course(ManualClock()), iter(taken), "", 0

        def hear(said: str | Note) -> None:
            nonlocal heard, steps
            steps += isinstance(said, ToolStep)
            heard = heard + said if isinstance(said, str) else "" if isinstance(said, Restarted) else heard

        for number, attempt in enumerate(attempts):
            if number:
                deltas.calling("time")("")
                deltas.restart()
            for piece in attempt:
                deltas.piece(piece)
                if next(moments, False) and deltas._new:
                    hear(await anext(deltas))
        deltas.end()
        async for said in deltas:
            hear(said)
        answer = storable("".join(attempts[-1]))
        rest = deltas.rest(answer)
        assert steps == 2 * (len(attempts) - 1)
        assert answer == heard + rest if rest is not None else not answer.startswith(heard)

    asyncio.run(course())


def requests_of(requests: list[CompletionRequest]) -> list[str]:
    return [request.messages[-1].content for request in requests]


async def test_who_reads_slowly_holds_up_no_other(here: Place) -> None:
    """The model has answered: its place is another's, however long the reader takes."""
    bot = here.bot(limits={"max_lanes": 1})
    slow = [bot.stream_chat("one", BotContext(f"c{n}", "alice")) for n in range(3)]
    for stream in slow:
        await anext(stream)
    assert await bot.chat("two", BotContext("c7", "bob")) == "re two"
    for stream in slow:
        await stream.aclose()


async def test_streams_of_one_conversation_queue_up(here: Place) -> None:
    """Whoever reads slowly holds up the conversation, and nobody else."""
    bot = here.bot()
    first = bot.stream_chat("one", ALICE)
    await anext(first)
    second = asyncio.create_task(bot.chat("two", ALICE))
    other = bot.chat("other", BotContext("c2", "alice"))
    assert await other == "re other"
    assert requests_of(here.model.requests) == ["one", "other"]
    async for _ in first:
        pass
    assert await second == "re two"
