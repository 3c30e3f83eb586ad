"""The poller commits before it acknowledges, and neither spins nor gives up, whatever the server says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.vocabulary import Condition
from store.events import FellBehind, MessageReceived
from store.events import TokenInUse as TokenInUseEvent
from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from workers.channels.base import Lane
from workers.channels.loopback import LoopbackChannel
from workers.errors import BotInvalid, ChannelUnreachable, RateLimited, TokenInUse, TokenRejected
from workers.inbox import HEAVY_BYTES_PER_S

pytestmark = pytest.mark.anyio

GONE = "no answer"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with bot_house(tmp_path) as house:
        yield house


class Strict(LoopbackChannel):
    """A server that takes every offset at its word, remembers those it was given, and never waits."""

    def __init__(self, *, quick: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.offsets: list[int | None] = []
        self.quick = quick
        self.before_poll: list[Any] = []

    async def poll(self, offset: int | None, *, brief: bool = False) -> list[dict[str, Any]]:
        self.offsets.append(offset)
        for look in self.before_poll:
            look(offset)
        if offset is not None:
            self._waiting = type(self._waiting)(u for u in self._waiting if u["update_id"] >= offset)
        if self.quick and not self._waiting:
            self.calls["poll"] += 1
            return []
        return await super().poll(None, brief=brief)


async def test_a_batch_is_committed_before_the_poll_that_acknowledges_it(house: House) -> None:
    """When a poll with a new offset arrives, everything below it and the offset itself are in the database."""
    channel = house.channel = Strict(clock=house.clock, identity=house.channel.identity)
    seen: list[tuple[int, list[int], int | None]] = []

    def look(offset: int | None) -> None:
        if offset is not None:
            stored = [n for (n,) in house.rows("SELECT update_id FROM updates ORDER BY update_id")]
            seen.append((offset, stored, house.rows("SELECT next_offset FROM bots")[0][0]))

    channel.before_poll.append(look)
    async with house.running():
        for n in range(5):
            channel.say(f"m{n}")
            await eventually(lambda n=n: len(channel.sent) == n + 1)
        await eventually(lambda: len(seen) == 5)
    assert seen
    for offset, stored, next_offset in seen:
        assert stored == list(range(1, offset))
        assert next_offset == offset


async def test_updates_are_told_of_once_committed(house: House) -> None:
    """MessageReceived carries the update and its chat; an update of no chat has none."""
    async with house.running():
        house.channel.say("hello", 5)
        house.channel.push({"poll": {"id": "1"}})
        await eventually(lambda: len(house.outcomes()) == 2 and house.settled())
    received = [event.data() for event in house.events(MessageReceived)]
    assert received == [{"update_id": 1, "chat_id": 5}, {"update_id": 2, "chat_id": None}]


async def test_repeats_are_recognised(house: House) -> None:
    """The same update given again, in another batch or in the same one, is answered once."""
    async with house.running():
        update_id = house.channel.say("hello")
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(lambda: house.channel.pending == 0)
        again = {
            "update_id": update_id,
            "message": {"date": int(house.clock.now()), "chat": {"id": 1}, "text": "hello"},
        }
        house.channel.push(again)
        house.channel.push(again)
        house.channel.say("next")
        await eventually(lambda: "re next" in house.answers)
    assert house.answers == ["re hello", "re next"]
    assert house.model.asked == ["hello", "next"]


async def test_ids_that_jump_downwards_do_not_wedge_the_stream(house: House) -> None:
    """After a quiet time ids may start lower; a server that takes offsets at their word still gives them to us."""
    channel = house.channel = Strict(clock=house.clock, identity=house.channel.identity)
    channel.next_update_id = 1_000_000
    async with house.running():
        channel.say("before")
        await eventually(lambda: house.answers == ["re before"])
        await house.advance(51)
        channel.jump_ids(-999_000)
        channel.say("after")
        channel.say("more")
        await eventually(lambda: house.answers == ["re before", "re after", "re more"])
        await eventually(lambda: channel.pending == 0)
    assert house.rows("SELECT next_offset FROM bots") == [(1003,)]


async def test_ids_that_jumped_while_the_bot_was_away(house: House) -> None:
    """The offset kept from before a jump costs at most one fruitless poll."""
    channel = house.channel = Strict(clock=house.clock, identity=house.channel.identity)
    channel.next_update_id = 1_000_000
    async with house.running():
        channel.say("before")
        await eventually(lambda: house.answers == ["re before"])
    channel.jump_ids(-999_000)
    async with house.running():
        await house.advance(51)
        channel.say("after")
        await eventually(lambda: house.answers == ["re before", "re after"])


async def test_ids_that_jump_upwards(house: House) -> None:
    """A jump upwards is nothing special."""
    async with house.running():
        house.channel.say("a")
        house.channel.jump_ids(5_000)
        house.channel.say("b")
        await eventually(lambda: house.answers == ["re a", "re b"])
        await eventually(lambda: house.channel.pending == 0)


async def test_an_offset_travels_until_it_arrived(house: House) -> None:
    """A poll that failed acknowledged nothing for sure: the next one carries the same offset."""
    channel = house.channel = Strict(clock=house.clock, identity=house.channel.identity)
    async with house.running():
        await eventually(lambda: channel.offsets == [None])
        channel.before_poll.append(
            lambda offset: channel.fail("poll", ChannelUnreachable(GONE)) if len(channel.offsets) in {2, 3} else None
        )
        channel.say("x")
        await eventually(lambda: channel.offsets == [None, 2])
        await house.in_time(lambda: channel.offsets == [None, 2, 2])
        await house.in_time(lambda: channel.offsets == [None, 2, 2, 2, None])


async def test_polling_stops_while_too_much_is_open(house: House) -> None:
    """Above max_open_updates nothing is taken in; it goes on as soon as there is room, and loses nothing."""
    house.spec(limits={"max_open_updates": 3, "max_lanes": 1})
    house.model.hold()
    async with house.running() as worker:
        for n in range(3):
            house.channel.say(f"m{n}")
        await eventually(lambda: worker.vitals().inbox_open == 3)
        for n in range(3, 6):
            house.channel.say(f"m{n}")
        await eventually(lambda: house.conditions.get(Condition.POLLING) is False)
        assert "room" in house.reason(Condition.POLLING)
        assert house.channel.pending >= 3
        assert len(house.rows("SELECT * FROM updates")) == 3
        house.model.release()
        await eventually(lambda: len(house.answers) == 6)
        assert house.conditions.get(Condition.POLLING) is True
    assert house.answers == [f"re m{n}" for n in range(6)]


async def test_a_higher_limit_is_taken_over_at_once(house: House) -> None:
    """`apply` wakes a poller that waits for room."""
    house.spec(limits={"max_open_updates": 1})
    house.model.hold()
    async with house.running() as worker:
        house.channel.say("a")
        await eventually(lambda: house.conditions.get(Condition.POLLING) is False)
        house.channel.say("b")
        worker.apply(house.spec(limits={"max_open_updates": 5}))
        await eventually(lambda: worker.vitals().inbox_open == 2)


async def test_a_database_that_refuses_holds_the_batch(house: House) -> None:
    """What cannot be committed is not acknowledged; it is committed and answered when the database is back."""
    async with house.running():
        await eventually(lambda: house.conditions.get(Condition.POLLING) is not None or house.channel.calls["poll"])
        await house.break_store()
        house.channel.say("hello")
        await eventually(lambda: house.store.fault is not None)
        calls = house.channel.calls["poll"]
        await house.advance(300)
        assert house.channel.calls["poll"] == calls
        assert house.channel.pending == 1
        assert house.channel.acknowledged is None
        await house.mend_store()
        await eventually(lambda: house.answers == ["re hello"])


async def test_a_commit_reported_as_failed_that_happened(house: House) -> None:
    """The database file vanishes while a batch is committed and comes back: its updates are answered, once."""
    away = house.path.with_suffix(".away")
    async with house.running():
        await eventually(lambda: house.channel.calls["poll"])
        house.path.rename(away)
        house.channel.say("hello")
        await eventually(lambda: house.store.fault is not None)
        away.rename(house.path)
        assert await house.store.probe(house.services.now_ms())
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(house.settled)
    assert house.model.asked == ["hello"]


@pytest.mark.parametrize(
    ("error", "condition", "status"),
    [
        (ChannelUnreachable("the cable is out"), Condition.POLLING, False),
        (TokenInUse("somebody polls"), Condition.TOKEN_IN_USE, True),
        (RateLimited("wait 7 s", 7.0), Condition.THROTTLED, True),
    ],
)
async def test_trouble_is_a_condition_and_ends_with_the_next_good_poll(
    house: House, error: Any, condition: Condition, status: bool
) -> None:
    """Network errors, 409 and 429 are shown with their reason, cost no spinning, and clear themselves."""
    house.channel.fail("poll", error, times=None)
    async with house.running():
        await eventually(lambda: house.conditions.get(condition) is status)
        assert error.message in house.reason(condition)
        await house.advance(600)
        assert 5 <= house.channel.calls["poll"] <= 600
        house.channel.mend()
        await house.advance(111)
        assert house.conditions.get(condition) is not status
        assert house.conditions.get(Condition.POLLING) is True
        house.channel.say("hello")
        await eventually(lambda: house.answers == ["re hello"])


async def test_after_trouble_the_first_poll_is_brief(house: House) -> None:
    """What is over is not shown for the length of another long poll."""
    house.channel.fail("poll", ChannelUnreachable(GONE), times=1)
    async with house.running():
        await eventually(lambda: house.conditions.get(Condition.POLLING) is False)
        await house.advance(1)
        assert house.conditions.get(Condition.POLLING) is True
        assert house.channel.calls["poll"] == 3


async def test_a_token_in_use_is_told_once_and_retried_after_half_a_minute(house: House) -> None:
    """409: one event however often it comes back, tries 30 to 60 s apart."""
    house.channel.fail("poll", TokenInUse("somebody polls"), times=None)
    async with house.running():
        await eventually(lambda: house.channel.calls["poll"] == 1)
        await house.advance(29)
        assert house.channel.calls["poll"] == 1
        await house.advance(31)
        assert house.channel.calls["poll"] == 2
        await house.advance(600)
        assert 12 <= house.channel.calls["poll"] <= 23
        assert len(house.events(TokenInUseEvent)) == 1


async def test_reconnecting_backs_off_to_half_a_minute(house: House) -> None:
    """Network errors are tried again after 1 s doubled up to 30 s with equal jitter, in place."""
    house.channel.fail("poll", ChannelUnreachable(GONE), times=None)
    async with house.running():
        await eventually(lambda: house.channel.calls["poll"] == 1)
        await house.advance(31)
        assert 5 <= house.channel.calls["poll"] <= 7
        await house.advance(300)
        assert 15 <= house.channel.calls["poll"] <= 28


async def test_a_refused_token_ends_the_worker(house: House) -> None:
    """401 makes the bot invalid, with the sentence of the channel."""
    house.channel.fail("poll", TokenRejected("Telegram does not know the token"))
    with pytest.raises(BotInvalid, match="does not know the token"):
        await house.worker().run(lambda: None)


async def test_empty_answers_at_once_do_not_spin(house: House) -> None:
    """A server that never waits, or a poll time of 0, is asked once a second."""
    channel = house.channel = Strict(quick=True, clock=house.clock, identity=house.channel.identity)
    async with house.running():
        await eventually(lambda: channel.calls["poll"] == 1)
        await house.advance(60)
        assert 55 <= channel.calls["poll"] <= 62
        assert house.conditions.get(Condition.POLLING) is True


async def test_a_server_that_repeats_itself_is_asked_less_and_less(house: House) -> None:
    """Updates given again and again in spite of the offset cost no spinning, and the condition says why."""

    class Deaf(LoopbackChannel):
        async def poll(self, offset: int | None, *, brief: bool = False) -> list[dict[str, Any]]:
            return await super().poll(None, brief=brief)

    channel = house.channel = Deaf(clock=house.clock, identity=house.channel.identity)
    async with house.running():
        channel.say("hello")
        await eventually(lambda: house.answers == ["re hello"])
        await house.lapse(300)
        assert 6 <= channel.calls["poll"] <= 30
        assert "repeats" in house.reason(Condition.POLLING)
        channel._waiting.clear()
        channel.say("next")
        await house.in_time(lambda: house.answers == ["re hello", "re next"])


async def test_pausing_abandons_the_poll_and_resuming_loses_nothing(house: House) -> None:
    """A paused bot asks nothing, what people write meanwhile is answered afterwards."""
    async with house.running() as worker:
        await eventually(lambda: house.channel.calls["poll"] == 1)
        worker.pause()
        await eventually(lambda: house.reason(Condition.POLLING) == "paused")
        house.channel.say("hello")
        await house.advance(300)
        assert (house.channel.calls["poll"], house.answers) == (1, [])
        assert worker.vitals().poll_in_flight_s is None
        worker.resume()
        await eventually(lambda: house.answers == ["re hello"])
        assert house.conditions.get(Condition.POLLING) is True


async def test_a_bot_may_start_paused(house: House) -> None:
    """Paused from the start: ready, and not polling."""
    async with house.running(paused=True) as worker:
        await house.advance(10)
        assert house.channel.calls["poll"] == 0
        worker.resume()
        await eventually(lambda: house.channel.calls["poll"] == 1)


async def test_an_update_nested_too_deeply_does_not_stop_the_stream(house: House) -> None:
    """What cannot be written as JSON again becomes a poison row; the updates around it are answered."""
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]

    class Deep(LoopbackChannel):
        def lane_of(self, update: dict[str, Any]) -> Lane:
            return Lane(9)

    house.channel = Deep(clock=house.clock, identity=house.channel.identity)
    async with house.running():
        house.channel.say("before", 9)
        house.channel.push({"message": {"deep": deep}})
        house.channel.say("after", 9)
        await eventually(lambda: house.answers == ["re before", "re after"])
        await eventually(lambda: house.outcomes()["poison"] == 1)
    with pytest.raises(RecursionError):
        json.dumps(deep)
    while isinstance(deep, list):  # let go of it level by level
        deep = deep.pop()


async def test_the_age_of_a_poll_is_measured(house: House) -> None:
    """Vitals tell the age of the last round trip and of the poll in flight; the metric poll_age follows."""
    async with house.running() as worker:
        await eventually(lambda: worker.vitals().poll_in_flight_s is not None)
        await house.advance(20)
        assert worker.vitals().poll_in_flight_s == pytest.approx(20)
        assert worker.vitals().last_poll_age_s is None
        await house.advance(35)
        assert worker.vitals().last_poll_age_s == pytest.approx(5)
        await house.advance(50)
        await house.services.metrics.flush(house.store)
    assert house.rows("SELECT DISTINCT name FROM metrics") == [("poll_age",)]


async def test_heavy_updates_come_one_at_a_time_and_paced(house: House) -> None:
    """Many large updates fill neither memory nor a turn of the loop: the next is asked for alone, and later."""
    async with house.running():
        for _ in range(4):
            house.channel.say("y" * HEAVY_BYTES_PER_S)
        await eventually(lambda: house.outcomes()["answered"] == 4)
        for _ in range(3):
            house.channel.say("y" * HEAVY_BYTES_PER_S)
        await house.advance(3.5)
        assert house.outcomes()["answered"] == 4, "four were taken at once, which is four seconds' worth"
        await house.advance(0.6)
        await eventually(lambda: house.outcomes()["answered"] == 5)
        await house.advance(0.4)
        assert house.outcomes()["answered"] == 5
        await house.advance(0.7)
        await eventually(lambda: house.outcomes()["answered"] == 6)


async def test_a_bot_that_has_no_room_says_so_once(house: House) -> None:
    """An event names it; no other follows before it has caught up."""
    house.spec(limits={"max_open_updates": 2})
    house.model.hold()
    async with house.running():
        for number in range(3):
            house.channel.say(f"hello {number}")
        await eventually(lambda: house.events(FellBehind))
        house.model.release()
        await eventually(lambda: len(house.answers) == 3)
    assert [event.data() for event in house.events(FellBehind)] == [{"reason": "2 updates are open"}]
