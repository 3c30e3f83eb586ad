"""What a bad bot's neighbours keep, told without a clock: who is named, who is restarted, what is bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from config.schema import BotConfig
from config.vocabulary import Condition, Phase
from console.control import EventQuery, LogQuery
from store.database import Store
from store.events import LoopStalled
from tests.bench.measure import sample
from tests.neighbours.cases import CASES, HUGE
from tests.neighbours.street import BAD, street
from tests.neighbours.unruly import backtrack
from tests.waiting import eventually
from workers.bus import Bus
from workers.chat.engine import LONGEST_ANSWER, Engine, _bounded
from workers.clock import ManualClock
from workers.llm.asking import Asker
from workers.llm.base import Completion, CompletionRequest, Usage
from workers.stall import Culprit, LoopWatch, most_seen

pytestmark = pytest.mark.anyio

ENDLESS_KIB = 48 * 1024
"""What eight answers without end may take of memory, side by side: a megabyte is read of each."""


async def test_a_blocked_loop_names_the_bot_and_the_line_and_restarts_nobody() -> None:
    """In a real fleet: the alarm says who and where, the others answer and were never touched."""
    async with street(3, {"llm": {"options": {"does": "spin"}}}) as place:
        before = await place.others()
        place.bad.say(1, "go")
        await eventually(lambda: place.bad.sent_count == 1, within_s=30)
        window = await place.talk(0.2, 30)
        stalls = await place.control.events(EventQuery(bots=(BAD,), kinds=("LoopStalled",)))
        alarm = stalls[-1]["data"]
        assert (alarm["task"], alarm["line"].split(":")[0]) == ("bad/lane 1", "tests/neighbours/unruly.py")
        assert window.unanswered == 0
        assert await place.others() == before


async def test_a_backlog_is_taken_in_pieces_and_the_others_are_answered_meanwhile() -> None:
    """Thousands of updates wait for one bot: it takes no more than its inbox holds, the others need not wait for it."""
    async with street(3, {"limits": {"max_open_updates": 50}, "llm": {"options": {"does": "hang"}}}) as place:
        for number in range(3000):
            place.bad.say(1 + number % 40, f"go {number}")

        async def full() -> bool:
            return (await place.control.bot(BAD))["inbox_open"] >= 50

        await eventually(full)
        window = await place.talk(0.5, 60)
        row = await place.control.bot(BAD)
        assert (len(window.said), window.unanswered) == (30, 0)
        assert row["inbox_open"] <= 50 + 100, "a batch beyond the limit at most"
        assert row["conditions"][Condition.POLLING]["reason"] == "50 updates are open; waiting for room"
        assert place.bad.pending > 2000, "the rest waits at the server"


async def test_a_bot_that_always_crashes_is_set_aside_alone() -> None:
    """It backs off with its reason; nobody else was restarted or held."""
    async with street(3, {"llm": {"options": {"does": "crash"}}}) as place:
        before = await place.others()
        place.bad.say(1, "go")

        async def held_back() -> bool:
            row = await place.control.bot(BAD)
            return row["phase"] in {Phase.BACKOFF, Phase.QUARANTINED} and "this bot's own" in row["phase_reason"]

        await eventually(held_back)
        window = await place.talk(0.2, 30)
        assert window.unanswered == 0
        assert await place.others() == before
        assert not (await place.control.status())["fleet"]["held"]


@pytest.mark.parametrize("case", ["endless", "gush"])
async def test_a_model_that_never_stops_answering_costs_its_own_bot_an_answer(case: str) -> None:
    """Whole or shown while it is written: each turn fails by the bot's name, memory stays bounded, the others answer."""
    async with street(3, CASES[case].file) as place:
        before, kib = await place.others(), sample(place.process.pid).rss_kib
        for chat in range(1, 9):
            place.bad.say(chat, "go")
        window = await place.talk(0.5, 30)

        async def all_failed() -> list[dict[str, Any]]:
            failed = await place.control.events(EventQuery(kinds=("TurnFailed",)))
            return failed if len(failed) == 8 else []

        failed = await eventually(all_failed)
        assert {event["bot_id"] for event in failed} == {BAD}
        assert all("more than" in event["data"]["error"] for event in failed), failed
        assert window.unanswered == 0
        assert await place.others() == before
        grown_kib = max(window.rss_kib, sample(place.process.pid).rss_kib) - kib
        assert grown_kib < ENDLESS_KIB


@pytest.mark.parametrize(("case", "text"), [("swell", "go"), ("drown", "y" * HUGE)])
async def test_what_is_far_too_long_is_cut_and_its_bot_named(case: str, text: str) -> None:
    """Answers of a megabyte, messages of a megabyte: a line with the bot's name, and no other has one."""
    async with street(3, CASES[case].file) as place:
        before = await place.others()
        for chat in range(1, 5):
            place.bad.say(chat, text)
        window = await place.talk(0.3, 30)

        async def cut() -> list[dict[str, Any]]:
            lines = await place.control.logs(LogQuery(tail=1000))
            told = [line for line in lines if "was cut to 32768" in line["text"]]
            return told if len(told) == 4 else []

        assert {line["bot_id"] for line in await eventually(cut)} == {BAD}
        assert window.unanswered == 0
        assert await place.others() == before


async def test_the_alarm_names_whom_the_loop_waited_for_longest(clock: ManualClock) -> None:
    """Not who came last in the same turn of the loop."""
    guilty, last = Culprit("bad/lane 1", "x.py:1 f"), Culprit("good/lane 1", "y.py:1 g")
    assert most_seen([guilty, guilty, last]) == guilty
    assert most_seen([]) == Culprit()


async def test_a_habit_of_one_bot_does_not_hide_another(clock: ManualClock) -> None:
    """Short stalls of one bot are told once in a while; another bot's in between is told all the same."""
    bus = Bus()
    watch = LoopWatch(bus, clock)
    with bus.subscribe(100) as events:
        for task in ("one/lane 1", "one/lane 1", "two/lane 1", "one/lane 2"):
            watch._report(0.3, Culprit(task, "x.py:1 f"))
        assert [event.bot_id for event in events.take() if isinstance(event, LoopStalled)] == ["one", "two"]


async def test_one_call_that_never_lets_go_of_the_interpreter_is_named(clock: ManualClock) -> None:
    """A runaway regular expression blocks the watching thread too; it still sees whose it was."""
    bus = Bus()
    watch = LoopWatch(bus, clock)

    async def lane() -> None:
        backtrack(24)

    with bus.subscribe(100) as events:
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run)
            await anyio.lowlevel.checkpoint()
            group.start_soon(lane, name="bad/lane 1")
            found = await eventually(events.take)
            group.cancel_scope.cancel()
    assert [event.bot_id for event in found] == ["bad"]


class Endless:
    """A model whose answer is far too long."""

    def get(self, config: object) -> Endless:
        return self

    async def complete(self, request: CompletionRequest) -> Completion:
        return Completion("x" * 1_000_000, Usage(1, 1), "endless")


async def test_an_answer_without_end_is_cut(tmp_path: Path, clock: ManualClock) -> None:
    """One answer fills neither memory nor the database nor a chat; it is paid for once and marked as cut."""
    engine = Engine(Asker(cast("Any", Endless()), clock), clock)
    config = BotConfig.model_validate(json.loads('{"channel": "none"}'))
    async with await Store.open(tmp_path / "x.db", now_ms=0):
        request = CompletionRequest("m", ())
        completion = _bounded((await engine.asker.ask(config.llm.chain(), request)).completion)
    assert (len(completion.text), completion.finish_reason) == (LONGEST_ANSWER, "length")
