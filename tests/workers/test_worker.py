"""One bot from its start to its end: who it is, what it continues, how it drains, how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from config.vocabulary import Condition
from store.events import MessagePoisoned, ReplySent, SendUncertain
from store.outbox import NewSend
from store.turns import TurnRecord
from store.updates import NewUpdate
from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from workers.channels.base import Identity, Lane, Outgoing
from workers.channels.loopback import LoopbackChannel
from workers.errors import BotInvalid, ChannelUnreachable, RateLimited, TokenRejected
from workers.lanes import Lanes

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with bot_house(tmp_path) as house:
        yield house


# --- identity ----------------------------------------------------------------------------------------------------


async def test_the_identity_of_the_first_start_is_kept(house: House) -> None:
    """The bot's Telegram id and name are written down at the first start, and shown."""
    async with house.running() as worker:
        identity = worker.vitals().identity
        assert identity is not None
        assert (identity.id, identity.username) == (77, "support_bot")
    assert house.rows("SELECT telegram_id, username FROM bots") == [(77, "support_bot")]


async def test_another_bot_behind_the_token_is_refused(house: House) -> None:
    """A token of another bot makes this one invalid: its conversations are not handed to a stranger."""
    async with house.running():
        pass
    house.channel.identity = Identity(78, "other_bot")
    with pytest.raises(BotInvalid, match=r"@other_bot \(id 78\).* id 77"):
        await house.worker().run(lambda: None)
    assert house.channel.calls["poll"] <= 1


async def test_the_same_bot_behind_a_new_token_goes_on(house: House) -> None:
    """Same id, new name: nothing is lost, the offset stays."""
    async with house.running():
        house.channel.say("hello")
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(lambda: house.channel.pending == 0)
    house.channel.identity = Identity(77, "renamed_bot")
    async with house.running():
        house.channel.say("again")
        await eventually(lambda: house.answers == ["re hello", "re again"])
    assert house.rows("SELECT telegram_id, username, next_offset FROM bots") == [(77, "renamed_bot", 3)]


async def test_only_the_first_start_ever_drops_what_waits(house: House) -> None:
    """drop_pending_updates forgets what people wrote before the bot existed, never what they wrote while it was off."""
    house.spec(telegram={"drop_pending_updates": True})
    house.channel.say("before")
    async with house.running():
        house.channel.say("first")
        await eventually(lambda: house.answers == ["re first"])
    house.channel.say("while it was off")
    async with house.running():
        await eventually(lambda: house.answers == ["re first", "re while it was off"])


async def test_no_network_at_the_start_is_a_condition(house: House) -> None:
    """getMe is tried again in place, ever more seldom, and the reason is shown; the bot becomes ready by itself."""
    house.channel.fail("identify", ChannelUnreachable("the cable is out"), times=None)
    async with house.running(ready=False) as worker:
        await eventually(lambda: house.channel.calls["identify"] == 1)
        assert house.conditions.get(Condition.POLLING) is False
        assert "the cable is out" in house.reason(Condition.POLLING)
        await house.advance(300)
        assert 13 <= house.channel.calls["identify"] <= 28
        assert worker.vitals().identity is None
        house.channel.mend()
        await house.advance(30)
        await eventually(lambda: worker.vitals().identity is not None)
        await eventually(lambda: house.conditions.get(Condition.POLLING) is True)


async def test_patience_asked_for_at_the_start(house: House) -> None:
    """429 to getMe: throttled until its time, then on."""
    house.channel.fail("identify", RateLimited("wait 40 s", 40.0))
    async with house.running(ready=False):
        await eventually(lambda: house.conditions.get(Condition.THROTTLED) is True)
        await house.advance(39)
        assert house.channel.calls["identify"] == 1
        await house.advance(1)
        await eventually(lambda: house.channel.calls["poll"] == 1)
        assert house.conditions.get(Condition.THROTTLED) is False


async def test_a_refused_token_at_the_start(house: House) -> None:
    """401 to getMe makes the bot invalid at once."""
    house.channel.fail("identify", TokenRejected("no such token"))
    with pytest.raises(BotInvalid, match="no such token"):
        await house.worker().run(lambda: None)


# --- what the last run left open -----------------------------------------------------------------------------------


def turn(update_id: int, *texts: str, chat_id: int = 1, attempting: bool = False) -> TurnRecord:
    sends = tuple(
        NewSend(chat_id, str(chat_id), "sendMessage", f'{{"chat_id": {chat_id}, "text": "{text}"}}') for text in texts
    )
    return TurnRecord(
        update_id, "", str(chat_id), "1", "none", "answered", "q", "a", sends=sends, first_attempting=attempting
    )


async def left_open(house: House, *updates: str, chat_id: int = 1, first_id: int = 101) -> None:
    rows = [
        NewUpdate(
            first_id + n,
            str(chat_id),
            f'{{"update_id": {first_id + n}, "message": {{"date": {int(house.clock.now())}, '
            f'"chat": {{"id": {chat_id}}}, "text": "{text}"}}}}',
        )
        for n, text in enumerate(updates)
    ]
    await house.partition.updates.receive(rows, None, house.services.now_ms())


async def test_open_sends_go_before_open_updates(house: House) -> None:
    """After a crash people get the answers already made, then those to what they wrote later, in order."""
    await left_open(house, "asked", "one", "two")
    await house.partition.record_turn(turn(101, "part 1", "part 2"), 1)
    async with house.running():
        await eventually(lambda: len(house.answers) == 4)
        await eventually(house.settled)
    assert house.answers == ["part 1", "part 2", "re one", "re two"]
    assert house.model.asked == ["one", "two"]
    replies = [event.data() for event in house.events(ReplySent)]
    assert [(r["update_id"], r["parts"]) for r in replies] == [(101, 2), (102, 1), (103, 1)]


@pytest.mark.parametrize(("policy", "seen"), [("resend", ["part 1", "part 2"]), ("skip", ["part 2"])])
async def test_a_send_cut_off_by_a_crash_is_the_only_doubt(house: House, policy: str, seen: list[str]) -> None:
    """`attempting` is counted, told of, and treated by the policy; what was pending is no doubt."""
    house.spec(telegram={"ambiguous_send": policy})
    await left_open(house, "asked")
    await house.partition.record_turn(turn(101, "part 1", "part 2", attempting=True), 1)
    async with house.running() as worker:
        await eventually(house.settled)
        await eventually(lambda: worker.vitals().outbox_open == 0)
        assert worker.vitals().ambiguous_sends == 1
    assert house.answers == seen
    assert house.ambiguous() == 1
    assert [event.data() for event in house.events(SendUncertain)] == [{"update_id": 101, "policy": policy}]
    assert house.sends() == ["sent" if policy == "resend" else "skipped", "sent"]


async def test_sends_of_other_chats_do_not_wait_for_each_other(house: House) -> None:
    """Leftovers of one chat that cannot be sent hold up neither other chats nor the poller."""
    await left_open(house, "a", "b")
    await house.partition.record_turn(turn(101, "to 1", chat_id=1), 1)
    await house.partition.record_turn(turn(102, "to 2", chat_id=2), 1)

    class Blocked(LoopbackChannel):
        async def send(self, outgoing: Outgoing) -> int | None:
            if outgoing.chat_id == 1:
                raise ChannelUnreachable("not now")
            return await super().send(outgoing)

    house.channel = Blocked(clock=house.clock, identity=house.channel.identity)
    async with house.running():
        house.channel.say("hello", 3)
        await eventually(lambda: sorted(house.answers) == ["re hello", "to 2"])


async def test_a_payload_that_is_no_json_is_set_aside(house: House) -> None:
    """A row of the inbox that cannot be read does not keep the bot from starting."""
    await house.partition.updates.receive([NewUpdate(7, "1", "{broken"), NewUpdate(8, "1", "[1]")], 9, 1)
    await left_open(house, "fine")
    async with house.running():
        await eventually(lambda: house.answers == ["re fine"])
        await eventually(house.settled)
    assert house.outcomes() == {"poison": 2, "answered": 1}


# --- drain -----------------------------------------------------------------------------------------------------------


async def test_draining_finishes_turns_in_flight_and_leaves_the_rest(house: House) -> None:
    """The turn the model is asked for ends and is sent; what is queued stays in the inbox for the next run."""
    house.spec(limits={"max_lanes": 2})
    house.model.hold()
    ended = False
    async with house.running() as worker:
        for n in range(3):
            house.channel.say(f"m{n}")
        house.channel.say("other", 2)
        await eventually(lambda: house.model.waiting == 2)
        await eventually(lambda: worker.vitals().inbox_open == 4)
        worker.drain()
        house.model.release()
        await eventually(lambda: len(house.answers) == 2)
        ended = True
    assert ended
    assert sorted(house.answers) == ["re m0", "re other"]
    assert house.outcomes() == {"answered": 2, None: 2}
    async with house.running():
        await eventually(house.settled)
    assert house.answers[2:] == ["re m1", "re m2"]
    assert sorted(house.model.asked) == ["m0", "m1", "m2", "other"]


async def test_run_returns_once_drained(house: House) -> None:
    """`run` returns by itself when what was in flight is done."""
    house.model.hold()
    done = anyio.Event()
    async with anyio.create_task_group() as group:
        worker = house.worker()

        async def run() -> None:
            await worker.run(lambda: None)
            done.set()

        group.start_soon(run)
        house.channel.say("hello")
        await eventually(lambda: house.model.waiting == 1)
        worker.drain()
        await house.advance(5)
        assert not done.is_set()
        house.model.release()
        with anyio.fail_after(5):
            await done.wait()
    assert house.answers == ["re hello"]


async def test_draining_while_the_server_cannot_be_reached(house: House) -> None:
    """A bot that has never become ready drains too."""
    house.channel.fail("identify", ChannelUnreachable("out"), times=None)
    worker = house.worker()
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run, lambda: None)
        await eventually(lambda: house.channel.calls["identify"] == 1)
        worker.drain()


async def test_drained_before_it_ran(house: House) -> None:
    """A worker drained before its run has begun returns at once."""
    worker = house.worker()
    worker.drain()
    with anyio.fail_after(5):
        await worker.run(lambda: None)
    assert house.channel.calls["poll"] == 0


async def test_draining_does_not_wait_for_a_chat_that_is_to_wait(house: House) -> None:
    """A send that has to be patient stays pending, without doubt, and goes out in the next run."""
    house.channel.fail("send", RateLimited("wait 300 s", 300.0))
    worker = house.worker()
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run, lambda: None)
        house.channel.say("hello")
        await eventually(lambda: house.conditions.get(Condition.THROTTLED) is True)
        worker.drain()
    assert house.sends() == ["pending"]
    async with house.running():
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(house.settled)
    assert (house.model.asked, house.ambiguous()) == (["hello"], 0)


# --- crashes ---------------------------------------------------------------------------------------------------------


async def crash(house: House, match: str) -> None:
    with pytest.raises(RuntimeError, match=match):
        await house.worker().run(lambda: None)


async def test_an_update_that_crashes_the_bot_is_set_aside_the_third_time(house: House) -> None:
    """Twice the crash goes up to the keeper; then the update is poison, with its error, and the stream goes on."""
    house.model.crash_at["bad"] = 99
    house.channel.say("bad")
    house.channel.say("good")
    await crash(house, "crashed by bad")
    await crash(house, "crashed by bad")
    async with house.running():
        await eventually(lambda: house.answers == ["re good"])
        await eventually(house.settled)
    assert house.outcomes() == {"poison": 1, "answered": 1}
    assert house.rows("SELECT error, attempts FROM updates WHERE outcome = 'poison'") == [
        ("RuntimeError: crashed by bad", 3)
    ]
    assert [event.data()["update_id"] for event in house.events(MessagePoisoned)] == [1]


async def test_a_crash_lets_the_other_lanes_end_their_turns(house: House) -> None:
    """An answer the model is about to give another chat is not thrown away, for it would be paid for twice."""
    house.model.hold()
    house.channel.say("slow", 1)
    async with anyio.create_task_group() as group:
        worker = house.worker()
        failed: list[BaseException] = []

        async def run() -> None:
            try:
                await worker.run(lambda: None)
            except RuntimeError as error:
                failed.append(error)

        group.start_soon(run)
        await eventually(lambda: house.model.waiting == 1)
        house.model.crash_at["bad"] = 1
        house.channel.say("bad", 2)
        await eventually(lambda: house.rows("SELECT attempts FROM updates WHERE update_id = 2") == [(1,)])
        assert failed == []
        house.model.release()
        await eventually(lambda: len(failed) == 1)
    assert house.answers == ["re slow"]
    async with house.running():
        await eventually(lambda: house.answers == ["re slow", "re bad"])
    assert house.model.asked == ["slow", "bad", "bad"]


async def test_a_crash_waits_for_other_lanes_twenty_seconds_at_most(house: House) -> None:
    """A model that never answers does not keep a crash from being seen."""
    house.model.hold()
    house.channel.say("slow", 1)
    async with anyio.create_task_group() as group:
        worker, failed = house.worker(), anyio.Event()

        async def run() -> None:
            with pytest.raises(RuntimeError):
                await worker.run(lambda: None)
            failed.set()

        group.start_soon(run)
        await eventually(lambda: house.model.waiting == 1)
        house.model.crash_at["bad"] = 1
        house.channel.say("bad", 2)
        await eventually(lambda: house.rows("SELECT attempts FROM updates WHERE update_id = 2") == [(1,)])
        await house.advance(19)
        assert not failed.is_set()
        await house.advance(2)
        with anyio.fail_after(5):
            await failed.wait()


async def test_what_is_paid_for_is_not_asked_again_when_it_cannot_be_rendered(house: House) -> None:
    """A crash between the model's answer and the commit sets the update aside at once."""

    class Clumsy(LoopbackChannel):
        def render(self, lane: Lane, text: str, *more: Any, **named: Any) -> list[Outgoing]:
            if text == "re bad":
                raise RuntimeError("cannot draw this")
            return super().render(lane, text, *more, **named)

    house.channel = Clumsy(clock=house.clock, identity=house.channel.identity)
    async with house.running():
        house.channel.say("bad")
        house.channel.say("good")
        await eventually(lambda: house.answers == ["re good"])
        await eventually(house.settled)
    assert house.model.asked == ["bad", "good"]
    assert house.outcomes() == {"poison": 1, "answered": 1}


async def test_an_answer_that_crashes_the_bot_when_it_is_sent_is_given_up(house: House) -> None:
    """Sending is tried three times over restarts, the model asked once; then the answer is failed, with its error."""

    class Clumsy(LoopbackChannel):
        async def send(self, outgoing: Outgoing) -> int | None:
            if outgoing.params["text"] == "re bad":
                raise RuntimeError("cannot send this")
            return await super().send(outgoing)

    house.channel = Clumsy(clock=house.clock, identity=house.channel.identity)
    house.channel.say("bad")
    house.channel.say("good")
    await crash(house, "cannot send this")
    await crash(house, "cannot send this")
    async with house.running():
        await eventually(lambda: house.answers == ["re good"])
        await eventually(house.settled)
    assert house.model.asked == ["bad", "good"]
    assert house.rows("SELECT state, error FROM outbox ORDER BY outbox_id") == [
        ("failed", "RuntimeError: cannot send this"),
        ("sent", ""),
    ]


async def test_secrets_in_a_crash_are_not_stored(house: House) -> None:
    """The error of a poisoned update is free of tokens."""
    token = "100001:" + "A" * 35
    house.model.crash_at[token] = 99
    house.channel.say(token)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await house.worker().run(lambda: None)
    async with house.running():
        await eventually(lambda: house.outcomes() == {"poison": 1})
    assert token not in house.rows("SELECT error FROM updates")[0][0]


async def test_a_mistake_in_the_poller_is_a_crash(house: House) -> None:
    """Anything not foreseen goes up as it is, not wrapped in groups, for the keeper to count."""

    class Wrong(LoopbackChannel):
        async def poll(self, offset: int | None, *, brief: bool = False) -> list[dict[str, Any]]:
            raise ZeroDivisionError("mistake")

    house.channel = Wrong(clock=house.clock, identity=house.channel.identity)
    with pytest.raises(ZeroDivisionError, match="mistake"):
        await house.worker().run(lambda: None)


# --- steering --------------------------------------------------------------------------------------------------------


async def test_a_change_counts_from_the_next_turn(house: House) -> None:
    """A turn under way keeps what it began with; the next one uses the new prompt. Nothing is restarted."""
    house.spec(prompts={"system": "old"})
    house.model.hold()
    async with house.running() as worker:
        house.channel.say("one")
        house.channel.say("two")
        await eventually(lambda: house.model.waiting == 1)
        worker.apply(house.spec(prompts={"system": "new"}))
        house.model.release()
        await eventually(lambda: len(house.answers) == 2)
    assert house.model.systems == ["old", "new"]
    assert house.channel.calls["identify"] == 1


async def test_more_lanes_count_in_place(house: House) -> None:
    """Raising max_lanes lets waiting chats in at once."""
    house.spec(limits={"max_lanes": 1})
    house.model.hold()
    async with house.running() as worker:
        for chat in (1, 2, 3):
            house.channel.say("x", chat)
        await eventually(lambda: worker.vitals().inbox_open == 3 and house.model.waiting == 1)
        worker.apply(house.spec(limits={"max_lanes": 3}))
        await eventually(lambda: house.model.waiting == 3)


async def test_vitals_tell_what_is_going_on(house: House) -> None:
    """Depths, ages and counters are those of this moment."""
    house.model.hold()
    async with house.running() as worker:
        house.channel.say("a", 1)
        await eventually(lambda: house.model.waiting == 1)
        await house.advance(4)
        house.channel.say("b", 1)
        house.channel.say("c", 2)
        await eventually(lambda: house.model.waiting == 2)
        await eventually(lambda: worker.vitals().inbox_open == 3)
        await house.advance(1)
        seen = worker.vitals()
        assert (seen.in_turn, seen.turns, seen.errors, seen.outbox_open) == (2, 0, 0, 0)
        assert seen.oldest_turn_age_s == pytest.approx(5)
        assert seen.inbox_age_s == pytest.approx(5)
        with house.channel.hold("send"):
            house.model.release()
            await eventually(lambda: worker.vitals().outbox_open == 2)
            seen = worker.vitals()
            assert (seen.in_turn, seen.oldest_turn_age_s, seen.turns, seen.inbox_open) == (0, None, 2, 1)
        await eventually(lambda: worker.vitals().turns == 3)
        await eventually(lambda: worker.vitals().inbox_open == 0)


async def test_tasks_are_named_for_their_bot() -> None:
    """Whoever blocks the loop can be told by the name of the task."""
    async with anyio.create_task_group() as group:
        names: list[str] = []

        async def handle(item: str) -> None:
            names.append(anyio.get_current_task().name or "")

        lanes: Lanes[str] = Lanes(group, handle, bot_id="support", max_lanes=2)
        lanes.put("42:7", "x")
        await lanes.wait_idle()
        assert names == ["support/lane 42:7"]
        group.cancel_scope.cancel()
