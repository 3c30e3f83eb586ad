"""The model is out of reach for an hour: people are told once, or wait, as `[llm] on_outage` says; nothing piles up."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from config.vocabulary import Condition
from store.events import ModelRegained
from tests.waiting import eventually
from tests.workers.counter_rig import CHAT, Counter, counter
from workers.absences import AGAIN_S, Absences
from workers.bus import Bus
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

SORRY = "Sorry, not now."
HOUR_S = 3600


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Counter]:
    async with counter(tmp_path, clock) as made:
        made.sections["reply"] = {"error_text": SORRY}
        yield made


async def passing(desk: Counter, seconds: float, step_s: float = 5.0) -> None:
    """Let time pass in steps, and what it sets off come to rest."""
    clock = desk.services.clock
    assert isinstance(clock, ManualClock)
    for _ in range(int(seconds / step_s)):
        await clock.advance(step_s)
        await anyio.sleep(0.004)


async def in_time(desk: Counter, condition: Callable[[], Any]) -> None:
    """Let time pass until something is so."""

    async def look() -> Any:
        await passing(desk, 1, 1)
        return condition()

    await eventually(look, within_s=20)


def away(desk: Counter) -> None:
    """Let the model's server be gone."""
    desk.model.faults.fail("chat", "server_error", times=None, status=503)


async def test_each_chat_is_told_once_an_hour(desk: Counter) -> None:
    """However many messages come; those are finished, and answered no more when the model is back."""
    away(desk)
    async with desk.open(llm={"on_outage": "apologise"}, telegram={"max_update_age_s": 10 * HOUR_S}):
        for minute in range(60):
            for chat_id in (CHAT, 502):
                desk.bot.say(chat_id, f"minute {minute}")
            came = 2 * minute + 2
            await in_time(desk, lambda came=came: len(desk.outcomes()) == came and desk.settled())
            await passing(desk, 40)
        assert (desk.seen(CHAT), desk.seen(502)) == ([SORRY], [SORRY])
        assert desk.outcomes() == ["failed"] * 120
        reachable = desk.conditions.as_dict()[Condition.MODEL_REACHABLE.value]
        assert (reachable["status"], "503" in str(reachable["reason"])) == (False, True)
        assert desk.model.call_count < 120, "an endpoint that is away is left to rest"
        await passing(desk, HOUR_S / 2)
        desk.bot.say(CHAT, "an hour later")
        await in_time(desk, lambda: desk.seen(CHAT) == [SORRY, SORRY])
        desk.model.faults.clear()
        await passing(desk, 150)
        desk.bot.say(CHAT, "are you there?")
        await in_time(desk, lambda: desk.seen(CHAT)[-1] == "are you there?")
        assert desk.conditions.get(Condition.MODEL_REACHABLE) is True


async def test_an_outage_is_two_events_and_two_lines(desk: Counter, caplog: pytest.LogCaptureFixture) -> None:
    """A hundred chats write through all of it, its bot is edited in the middle: what it cost is told at its end.

    What became of each message stands in the inbox.
    """
    caplog.set_level(logging.INFO)
    away(desk)
    with desk.services.bus.subscribe(10_000) as told:
        for _ in range(2):
            async with desk.open():
                for chat_id in range(1, 101):
                    desk.bot.say(chat_id, "hello?")
                await in_time(desk, desk.settled)
                await passing(desk, 300)
        assert desk.outcomes() == ["failed"] * 200
        assert all(desk.seen(chat_id) == [SORRY] for chat_id in range(1, 101))
        assert desk.rows("SELECT count(*) FROM updates WHERE error LIKE '%503%'") == [(200,)]
        desk.model.faults.clear()
        async with desk.open():
            desk.bot.say(CHAT, "are you there?")
            await in_time(desk, lambda: desk.seen(CHAT) == ["are you there?"])
        events = [event for event in told.take() if event.kind.startswith(("Model", "Turn"))]
    assert [event.kind for event in events] == ["ModelLost", "ModelRegained"]
    assert "503" in events[0].data()["reason"]
    assert events[1].data()["failed"] == 200
    assert events[1].data()["after_s"] >= 600
    lines = [record.getMessage() for record in caplog.records if "model" in record.getMessage()]
    assert ["out of reach" in lines[0], "200 messages got no answer" in lines[1], len(lines)] == [True, True, 2]


async def test_a_model_that_comes_and_goes_is_told_of_once_a_minute(clock: ManualClock) -> None:
    """Nothing it costs is left out of the count."""
    bus = Bus()
    absences = Absences(clock, bus)
    with bus.subscribe(1000) as told:
        for _ in range(300):
            absences.away("a", "gone")
            absences.cost("a")
            await clock.advance(0.5)
            absences.answered("a")
            await clock.advance(0.5)
        await clock.advance(60)
        absences.answered("a")
        absences.answered("a")
        events = told.take()
    assert len(events) <= 2 * 300 / AGAIN_S + 3
    assert sum(event.data()["failed"] for event in events if isinstance(event, ModelRegained)) == 300
    assert events[-1].kind == "ModelRegained"


async def test_messages_wait_in_order_through_a_drain_and_a_restart(desk: Counter) -> None:
    """And are answered once the model is back: the first first, each once, by whatever worker there is then."""
    away(desk)
    wait = {"llm": {"on_outage": "wait"}, "limits": {"max_lanes": 2}, "telegram": {"max_update_age_s": 10 * HOUR_S}}
    chats = range(1, 6)
    async with desk.open(**wait) as worker:
        for chat_id in chats:
            for text in ("one", "two"):
                desk.bot.say(chat_id, text)
        await passing(desk, HOUR_S)
        assert desk.outcomes() == [None] * 10
        assert worker.vitals().oldest_turn_age_s is None, "to wait is no hanging turn"
        asked = {call.question for call in desk.model.calls}
        assert asked == {"one"}, "what comes behind in a chat is not asked before"
        worker.drain()
        await eventually(lambda: not worker.vitals().in_turn)
    assert desk.bot.sent == []
    async with desk.open():
        await passing(desk, 120)
        desk.model.faults.clear()
        await in_time(desk, lambda: desk.outcomes() == ["answered"] * 10 and desk.settled())
    assert [desk.seen(chat_id) for chat_id in chats] == [["one", "two"]] * 5


async def test_who_waited_too_long_is_told_so_once(desk: Counter) -> None:
    """A question of this morning is not answered tonight."""
    away(desk)
    async with desk.open(llm={"on_outage": "wait"}, telegram={"max_update_age_s": 600}):
        for text in ("one", "two", "three"):
            desk.bot.say(CHAT, text)
        await passing(desk, 500)
        assert desk.bot.sent == []
        await passing(desk, 200)
        await in_time(desk, lambda: None not in desk.outcomes() and desk.settled())
        assert desk.seen() == [SORRY]
        assert set(desk.outcomes()) <= {"failed", "expired"}
