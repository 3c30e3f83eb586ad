"""A bad road before one bot is that bot's trouble alone, and told as such; messages cross it once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from config.vocabulary import Condition
from store.events import NetworkLost
from tests.network.place import place
from tests.network.proxy import Way
from tests.waiting import eventually
from tests.workers.bot_rig import bot_house
from workers.channels.loopback import LoopbackChannel
from workers.clock import ManualClock
from workers.errors import ChannelUnreachable, SendUncertain
from workers.sender import MAX_RESENDS

pytestmark = pytest.mark.anyio

GOOD = [f"good{number}" for number in range(8)]


async def test_one_bots_road_is_nobody_elses(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Dozens of its sends hang; the others answer without any time passing, and only its own line is logged."""
    async with place(tmp_path, clock, roads=2) as it:
        bad, good = it.roads
        await it.start(["bad"], bad, limits={"max_lanes": 256})
        await it.start(GOOD, good)
        bad.up.passes = 0
        for link in bad.links:
            link.up.passes = 0  # the poll has left: its answer still brings the batch
        for chat in range(1, 91):
            it.bots["bad"].say(chat, "hello")
        await eventually(lambda: len(bad.links) >= 90)
        for bot_id in GOOD:
            it.bots[bot_id].say(1, "hello")
        await eventually(lambda: all(len(it.bots[bot_id].sent_to(1)) == 1 for bot_id in GOOD))
        assert clock.monotonic() == 0
        bad.hole()
        bad.reset()
        with caplog.at_level(logging.INFO):
            await it.lapse(300, 5)
        assert sorted(it.polling()) == GOOD
        assert "cannot be reached" in it.condition("bad", Condition.POLLING)["reason"]
        assert it.rig.pool.outage is None
        assert not [event for event in it.rig.heard if isinstance(event, NetworkLost)]
        told = [record for record in caplog.records if "out of reach" in record.getMessage()]
        assert [getattr(record, "bot_id", None) for record in told] == ["bad"]
        it.assert_unharmed()
        bad.clear()
        await it.until(lambda: all(len(it.bots["bad"].sent_to(chat)) == 1 for chat in range(1, 91)), within_s=90)
        assert it.rig.bot("bad").ambiguous_sends >= 90, "cut off in flight, and said so"


async def test_the_server_hangs_up_just_as_a_request_is_written(tmp_path: Path, clock: ManualClock) -> None:
    """Connections kept alive are closed under poll and send: the message arrives once, the doubt is counted."""
    async with place(tmp_path, clock) as it:
        (road,) = it.roads
        await it.start(["shop"], road)
        shop = it.bots["shop"]
        for number in range(1, 11):
            for link in road.links:
                link.up.passes, link.up.then = 0, "close"
            shop.say(1, f"hello {number}")
            await it.until(lambda n=number: len(shop.sent_to(1)) >= n, within_s=60)
            await it.lapse(40, 5)
        assert [sent.text for sent in shop.sent_to(1)] == [f"hello {number}" for number in range(1, 11)]
        assert it.rig.bot("shop").outbox_open == 0
        it.assert_unharmed()


async def test_a_slow_road_takes_a_long_queue(tmp_path: Path, clock: ManualClock) -> None:
    """A batch that takes longer than a poll may: asked for less, the server's answer comes in time, and none is stuck."""
    async with place(tmp_path, clock) as it:
        (road,) = it.roads
        await it.start(["shop"], road)
        road.hang_up()
        road.down = Way(trickle_s=1, trickle_bytes=100)
        for number in range(20):
            it.bots["shop"].say(1 + number, "x" * 200)
        await it.until(lambda: it.bots["shop"].pending == 0, within_s=3600, step_s=5)
        it.assert_unharmed()


async def test_a_doubt_after_a_long_outage_is_still_resolved(tmp_path: Path) -> None:
    """Tries that certainly never left say nothing about how often a message may have been doubled."""
    async with bot_house(tmp_path) as house:
        channel: LoopbackChannel = house.channel
        channel.fail("send", ChannelUnreachable("no route"), times=MAX_RESENDS + 5)
        async with house.running():
            channel.say("hello")
            await house.in_time(lambda: channel.calls["send"] >= MAX_RESENDS + 5, step_s=31)
            channel.fail("send", SendUncertain("cut off"), times=1)
            await house.in_time(house.settled, step_s=31)
        assert house.answers == ["re hello"]
        assert (house.sends(), house.ambiguous()) == (["sent"], 1)
