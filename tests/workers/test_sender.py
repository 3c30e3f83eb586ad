"""The ledger of sends stays true: nothing is sent twice without being counted, and no chat holds up another."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from config.vocabulary import Condition
from store.events import ReplySent
from store.events import SendUncertain as SendUncertainEvent
from store.outbox import Send
from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from workers.channels.base import Outgoing
from workers.channels.loopback import LoopbackChannel
from workers.errors import (
    BotInvalid,
    ChannelError,
    ChannelUnreachable,
    RateLimited,
    SendRefused,
    SendUncertain,
    TokenRejected,
)
from workers.sender import MAX_RESENDS, leftovers

pytestmark = pytest.mark.anyio

LONG = "word " * 2000


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with bot_house(tmp_path) as house:
        yield house


class Picky(LoopbackChannel):
    """Fails sends by chat and text; looks at the ledger when a send arrives."""

    house: House
    refused: dict[int, ChannelError]

    def __init__(self, house: House) -> None:
        super().__init__(clock=house.clock, identity=house.channel.identity)
        self.house = house
        self.refused = {}
        self.states: list[list[str]] = []
        house.channel = self

    async def send(self, outgoing: Outgoing) -> int | None:
        self.states.append(self.house.sends())
        if outgoing.chat_id in self.refused:
            raise self.refused[outgoing.chat_id]
        return await super().send(outgoing)


async def test_parts_leave_in_order_each_marked_before_it_leaves(house: House) -> None:
    """When a part arrives at the server its row says `attempting`, those before it `sent`, those behind `pending`."""
    channel = Picky(house)
    async with house.running():
        channel.say(LONG)
        await eventually(house.settled)
    assert channel.states == [
        ["attempting", "pending", "pending"],
        ["sent", "attempting", "pending"],
        ["sent", "sent", "attempting"],
    ]
    assert " ".join(house.answers).split() == f"re {LONG}".split()
    assert house.rows("SELECT message_id FROM outbox ORDER BY outbox_id") == [(1,), (2,), (3,)]
    assert [event.data()["parts"] for event in house.events(ReplySent)] == [3]


async def test_a_refused_part_ends_its_answer_and_nothing_else(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """The rest of that answer is not sent, the lane goes on with the next message, and so does everybody else."""
    channel = Picky(house)
    channel.refused[1] = SendRefused("the person blocked the bot")
    async with house.running():
        channel.say(LONG, 1)
        channel.say("hi", 2)
        await eventually(lambda: house.settled() and house.answers == ["re hi"])
        del channel.refused[1]
        channel.say("again", 1)
        await eventually(lambda: house.answers == ["re hi", "re again"])
        await eventually(house.settled)
    rows = house.rows("SELECT state, error FROM outbox WHERE chat_id = 1 ORDER BY outbox_id")
    assert [state for state, _ in rows] == ["failed", "failed", "failed", "sent"]
    assert rows[0][1] == "the person blocked the bot"
    assert "earlier part" in rows[1][1]
    assert "the person blocked the bot" in caplog.text
    assert len(house.events(ReplySent)) == 2


class Bare(LoopbackChannel):
    """Takes every part without its formatting."""

    def refused_formats(self) -> int:
        return 1


async def test_formatting_the_server_refused_is_counted(house: House) -> None:
    """Each part that went out bare counts in the metric `format_refused`."""
    channel = house.channel = Bare(clock=house.clock, identity=house.channel.identity)
    async with house.running():
        channel.say(LONG)
        await eventually(house.settled)
    counted = {name: roll.count for (_, name), roll in house.services.metrics._rolls.items()}
    assert counted["format_refused"] == 3


async def test_patience_asked_for_is_no_doubt(house: House) -> None:
    """429: the row goes back to `pending`, the bot shows `throttled`, the part is sent once its time has come."""
    house.channel.fail("send", RateLimited("wait 7 s", 7.0))
    async with house.running() as worker:
        house.channel.say("hello")
        await eventually(lambda: house.conditions.get(Condition.THROTTLED) is True)
        assert house.sends() == ["pending"]
        await house.advance(6)
        assert (house.answers, worker.vitals().outbox_open) == ([], 1)
        await house.advance(1)
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(house.settled)
        assert house.conditions.get(Condition.THROTTLED) is False
    assert (house.ambiguous(), house.sends()) == (0, ["sent"])


async def test_throttled_lasts_until_nobody_waits(house: House) -> None:
    """Of two chats asked to wait, the longer one keeps the condition true."""
    channel = Picky(house)
    channel.refused = {1: RateLimited("wait 5 s", 5.0), 2: RateLimited("wait 50 s", 50.0)}
    async with house.running():
        channel.say("a", 1)
        channel.say("b", 2)
        await eventually(lambda: house.sends() == ["pending", "pending"])
        del channel.refused[1]
        await house.advance(5)
        await eventually(lambda: house.answers == ["re a"])
        assert house.conditions.get(Condition.THROTTLED) is True
        del channel.refused[2]
        await house.advance(45)
        await eventually(lambda: house.answers == ["re a", "re b"])
        assert house.conditions.get(Condition.THROTTLED) is False


async def test_an_unreachable_server_is_tried_for_as_long_as_it_takes(house: House) -> None:
    """Nothing was done at the other end: tried again at most 30 s apart, never in doubt, never given up."""
    house.channel.fail("send", ChannelUnreachable("no route"), times=None)
    async with house.running():
        house.channel.say("hello")
        await eventually(lambda: house.channel.calls["send"] == 1)
        await house.lapse(600)
        assert 20 <= house.channel.calls["send"] <= 60
        assert house.sends() == ["pending"]
        house.channel.mend("send")
        await house.lapse(31)
        await eventually(lambda: house.answers == ["re hello"])
    assert (house.ambiguous(), house.model.asked) == (0, ["hello"])


async def test_chats_that_wait_leave_the_lanes_to_others(house: House) -> None:
    """More unreachable chats than max_lanes: the next chat is answered all the same."""
    house.spec(limits={"max_lanes": 2})
    channel = Picky(house)
    channel.refused = dict.fromkeys(range(1, 6), RateLimited("wait", 1000.0))
    async with house.running():
        for chat in range(1, 6):
            channel.say("x", chat)
        channel.say("hello", 9)
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(lambda: house.sends().count("pending") == 5)
        channel.refused.clear()
        await house.advance(1000)
        await eventually(lambda: len(house.answers) == 6)


@pytest.mark.parametrize(("policy", "seen"), [("resend", 2), ("skip", 1)])
async def test_a_send_whose_answer_never_came(house: House, policy: str, seen: int) -> None:
    """The honest doubt: counted, told of, and treated by the policy."""
    house.spec(telegram={"ambiguous_send": policy})
    house.channel.fail("send", SendUncertain("the answer never came"), done=True)
    async with house.running() as worker:
        house.channel.say("hello")
        await eventually(lambda: worker.vitals().ambiguous_sends == 1)
        await house.advance(2)
        await eventually(house.settled)
    assert house.answers == ["re hello"] * seen
    assert house.sends() == ["sent" if policy == "resend" else "skipped"]
    assert house.ambiguous() == 1
    assert [event.data() for event in house.events(SendUncertainEvent)] == [{"update_id": 1, "policy": policy}]


async def test_resending_has_an_end(house: House) -> None:
    """A server that takes every copy and never says so gets a bounded number of them; then the lane goes on."""
    house.channel.fail("send", SendUncertain("the answer never came"), times=None, done=True)
    async with house.running():
        house.channel.say("hello")
        await eventually(lambda: house.channel.calls["send"] == 1)
        await house.in_time(house.settled, step_s=10)
        assert len(house.answers) == MAX_RESENDS + 1
        house.channel.mend("send")
        house.channel.say("next")
        await eventually(lambda: house.answers[-1] == "re next")
        await eventually(house.settled)
    assert house.sends() == ["skipped", "sent"]


async def test_a_refused_token_while_sending_ends_the_worker_without_doubt(house: House) -> None:
    """401 to a send: the bot is invalid, the answer waits in the outbox for better days."""
    house.channel.fail("send", TokenRejected("no such token"))
    house.channel.say("hello")
    with pytest.raises(BotInvalid, match="no such token"):
        await house.worker().run(lambda: None)
    assert (house.sends(), house.ambiguous()) == (["pending"], 0)
    async with house.running():
        await eventually(lambda: house.answers == ["re hello"])
    assert house.model.asked == ["hello"]


async def test_a_mark_the_database_refuses_is_made_later(house: House) -> None:
    """The server took the part, the database is away: once it is back the row says `sent`; nothing goes out again."""
    async with house.running():
        with house.channel.hold("send"):
            house.channel.say("hello")
            await eventually(lambda: house.channel.held("send") == 1)
            await house.break_store()
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(lambda: house.store.fault is not None)
        await house.advance(60)
        await house.mend_store()
        await eventually(house.settled)
    assert (house.answers, house.sends(), house.ambiguous()) == (["re hello"], ["sent"], 0)


async def test_a_worker_made_anew_knows_what_the_last_one_could_not_mark(house: House) -> None:
    """Restarted while the database is away, the bot neither sends again nor calls it in doubt."""
    async with house.running():
        with house.channel.hold("send"):
            house.channel.say("hello")
            await eventually(lambda: house.channel.held("send") == 1)
            await house.break_store()
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(lambda: house.store.fault is not None)
    assert house.sends() == ["attempting"]
    async with house.running(ready=False):
        await house.advance(10)
        await house.mend_store()
        await eventually(house.settled)
    assert (house.answers, house.sends(), house.ambiguous()) == (["re hello"], ["sent"], 0)
    assert house.services.unmarked == {}


async def test_cancelled_between_two_parts_leaves_no_doubt(house: House) -> None:
    """A worker cancelled before a part has left puts its row back to `pending`."""
    channel = Picky(house)
    async with house.running() as worker:
        with channel.hold("send"):
            channel.say(LONG)
            await eventually(lambda: channel.held("send") == 1)
        await eventually(lambda: len(house.answers) >= 1)
        del worker
    await house.rest()
    assert house.sends().count("attempting") == 0
    async with house.running():
        await eventually(house.settled)
    assert len(house.answers) == 3
    assert house.ambiguous() == 0


def test_leftovers_are_grouped_by_answer() -> None:
    """Parts belong to one answer while update and lane are the same and the parts count up."""

    def send(outbox_id: int, update_id: int | None, lane: str, part: int) -> Send:
        values = dict.fromkeys(Send.__slots__)
        values |= {"outbox_id": outbox_id, "update_id": update_id, "lane": lane, "part": part}
        return Send(**values)  # type: ignore[arg-type]

    found = leftovers(
        [
            send(1, 7, "a", 2),
            send(2, 8, "b", 1),
            send(3, 7, "a", 3),
            send(4, 9, "a", 1),
            send(5, None, "a", 1),
            send(6, None, "a", 2),
            send(7, None, "a", 1),
        ]
    )
    assert [[s.outbox_id for s in leftover.sends] for leftover in found] == [[1, 3], [2], [4], [5, 6], [7]]


async def test_retries_are_logged_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """An outage of hours is one warning per answer, not thousands of lines."""
    house.channel.fail("send", ChannelUnreachable("no route"), times=None)
    with caplog.at_level(logging.INFO):
        async with house.running():
            house.channel.say("hello")
            await eventually(lambda: house.channel.calls["send"] == 1)
            await house.lapse(200)
    assert caplog.text.count("cannot send yet") == 1


async def test_many_chats_at_once_lose_nothing(house: House) -> None:
    """Two hundred chats, failures of every passing kind among them: each gets its answer once."""
    channel = Picky(house)
    kinds = [RateLimited("wait", 3.0), ChannelUnreachable("no route")]
    channel.refused = {chat: kinds[chat % 2] for chat in range(1, 200, 3)}
    async with house.running():
        for chat in range(1, 201):
            channel.say(f"from {chat}", chat)
        await eventually(lambda: len(house.answers) == 200 - len(channel.refused))
        channel.refused.clear()
        for _ in range(10):
            await house.advance(4)
            await anyio.lowlevel.checkpoint()
        await eventually(lambda: len(house.answers) == 200)
        await eventually(house.settled)
    assert sorted(house.answers) == sorted(f"re from {chat}" for chat in range(1, 201))
