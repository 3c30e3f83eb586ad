"""One bot's channel on a bad road: what is certain, what is in doubt, and what is never used again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest

from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.network.place import road_to
from tests.network.proxy import Proxy, Way
from tests.waiting import eventually
from tests.workers.telegram_rig import TOKEN, assert_no_token, telegram_config, text_to
from workers import http as wire
from workers.channels import transport
from workers.channels.telegram import POLL_SLACK_S, SEND_TIMEOUT_S, TelegramChannel
from workers.clock import ManualClock
from workers.errors import ChannelError, ChannelUnreachable, SendUncertain
from workers.http import Http

pytestmark = pytest.mark.anyio

POLL_S = 50


class Journey:
    """A channel, the road it takes, and the bot at its end."""

    def __init__(self, channel: TelegramChannel, road: Proxy, bot: SandboxBot, clock: ManualClock, http: Http) -> None:
        self.channel, self.road, self.bot, self.clock, self.http = channel, road, bot, clock, http

    async def outcome(self, call: Callable[[], Awaitable[Any]], *, within_s: float = 0.0) -> Any:
        """What a call gives or raises, time passing second by second until it does."""
        outcomes: list[Any] = []

        async def do() -> None:
            try:
                outcomes.append(await call())
            except ChannelError as error:
                assert_no_token(error)
                outcomes.append(error)

        async def later() -> bool:
            if within_s and self.clock.monotonic() < within_s:
                await self.clock.advance(1)
            return bool(outcomes)

        async with anyio.create_task_group() as group:
            group.start_soon(do)
            await eventually(later)
        return outcomes[0]

    async def poll(self, **options: Any) -> Any:
        return await self.outcome(lambda: self.channel.poll(None), **options)

    async def send(self, text: str = "hi", **options: Any) -> Any:
        return await self.outcome(lambda: self.channel.send(text_to(1, text)), **options)

    @property
    def arrived(self) -> list[str]:
        return [sent.text for sent in self.bot.sent_to(1)]


@asynccontextmanager
async def journey(clock: ManualClock, http: Http | None = None) -> AsyncIterator[Journey]:
    http = http or Http()
    async with Sandbox(clock=clock) as sandbox, road_to(sandbox, clock) as road:
        bot = sandbox.add_bot(TOKEN)
        config = telegram_config(TOKEN, f"http://127.0.0.1:{road.port}/bot", poll_timeout_s=POLL_S)
        yield Journey(TelegramChannel(config, http, clock), road, bot, clock, http)
        await http.close()


async def test_a_refused_connection_is_certain(clock: ManualClock) -> None:
    """Nothing left: neither poll nor send is in doubt."""
    async with journey(clock) as it:
        it.road.refuse()
        for error in (await it.poll(), await it.send()):
            assert isinstance(error, ChannelUnreachable)
            assert "no connection: Connection refused" in error.message
        it.road.clear()
        await it.send("now")
        assert it.arrived == ["now"]


async def test_a_connection_nobody_answers_is_certain(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SYN that is never answered: given up in time, and known not to have left."""
    monkeypatch.setattr(transport, "HOT_TIMEOUT", aiohttp.ClientTimeout(total=None, connect=0.1))
    async with journey(clock) as it:
        it.road.unheard()
        for error in (await it.poll(), await it.send()):
            assert isinstance(error, ChannelUnreachable)
            assert "no connection in time" in error.message


async def test_a_poll_never_answered_ends_and_takes_its_connection_with_it(clock: ManualClock) -> None:
    """It is given up at its age, and the next one goes out on a new connection."""
    async with journey(clock) as it:
        it.road.hole()
        error = await it.poll(within_s=POLL_S + POLL_SLACK_S)
        assert isinstance(error, ChannelUnreachable)
        assert "no answer within 60 s" in error.message
        assert it.clock.monotonic() == POLL_S + POLL_SLACK_S
        await eventually(lambda: not it.road.links)
        it.road.clear()
        it.bot.say(1, "hello")
        assert len(await it.poll()) == 1
        assert len(it.road.accepted) == 2


async def test_a_send_never_answered_is_in_doubt_and_ends(clock: ManualClock) -> None:
    """The request may have been taken; its connection is not used again."""
    async with journey(clock) as it:
        it.road.down.passes = 0
        error = await it.send("once", within_s=SEND_TIMEOUT_S)
        assert isinstance(error, SendUncertain)
        assert it.arrived == ["once"]
        it.road.clear()
        await it.send("twice")
        assert it.arrived == ["once", "twice"]
        assert len(it.road.accepted) == 2


async def test_a_slow_answer_is_awaited_a_trickle_is_not(clock: ManualClock) -> None:
    """Slow but alive counts for as long as a long poll may take; an answer of a byte a second never outlasts that."""
    async with journey(clock) as it:
        it.road.down.trickle_s = 0.1
        it.bot.say(1, "slowly")
        (update,) = await it.poll(within_s=POLL_S + POLL_SLACK_S - 1)
        assert update["message"]["text"] == "slowly"
        began = it.clock.monotonic()
        it.road.hang_up()
        it.road.down.trickle_s = 1.0
        error = await it.poll(within_s=began + POLL_S + POLL_SLACK_S)
        assert isinstance(error, ChannelUnreachable)
        error = await it.send(within_s=began + POLL_S + POLL_SLACK_S + SEND_TIMEOUT_S)
        assert isinstance(error, SendUncertain)


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_an_answer_cut_anywhere(clock: ManualClock, then: str) -> None:
    """Cut after any number of bytes: a poll is tried again, a send is in doubt, nothing else is ever raised."""
    async with journey(clock) as it:
        for passes in range(0, 220, 6):
            it.road.hang_up()
            await eventually(lambda: not it.road.links)
            it.road.down = Way(passes=passes, then=then)
            it.bot.say(1, "hello")
            polled, sent = await it.poll(), await it.send(f"{passes}")
            assert isinstance(polled, ChannelUnreachable | list)
            assert isinstance(sent, SendUncertain | int)
            if passes < 100:
                assert isinstance(sent, SendUncertain)
        assert it.arrived == [f"{passes}" for passes in range(0, 220, 6)]


async def test_half_an_answer_then_silence(clock: ManualClock) -> None:
    """The rest never comes: the deadline of the whole counts, not that bytes have come."""
    async with journey(clock) as it:
        it.road.down.passes = 60
        error = await it.send("half", within_s=SEND_TIMEOUT_S)
        assert isinstance(error, SendUncertain)
        assert it.clock.monotonic() == SEND_TIMEOUT_S


async def test_a_connection_that_rested_too_long_is_not_used(clock: ManualClock) -> None:
    """A NAT has forgotten it and would swallow the message: a new one is made, and there is no doubt."""
    async with journey(clock, Http(rest_s=0.05)) as it:
        await it.send("one")
        it.road.forget()
        connector = it.http.session.connector
        assert isinstance(connector, aiohttp.TCPConnector)
        await eventually(lambda: not connector._conns)
        await it.send("two")
        assert it.arrived == ["one", "two"]


async def test_the_kernel_notices_a_peer_that_is_gone(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not acknowledged ends the connection long before the message's own time is up, which never comes here."""
    monkeypatch.setattr(wire, "_SOCKET_OPTIONS", (("TCP_USER_TIMEOUT", 200),))
    async with journey(clock) as it:
        await it.send("one")
        it.road.forget()
        error = await it.send("two")
        assert isinstance(error, SendUncertain)
        assert "timed out" in error.message
        await it.send("three")
        assert it.arrived == ["one", "three"]


async def test_a_silent_poll_is_probed_by_the_kernel(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long poll whose way is gone says nothing that could stay unacknowledged: probes find it out."""
    probing = (("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 1), ("TCP_USER_TIMEOUT", 500))
    monkeypatch.setattr(wire, "_SOCKET_OPTIONS", probing)
    async with journey(clock) as it, anyio.create_task_group() as group:
        failures: list[Any] = []

        async def poll() -> None:
            failures.append(await it.poll())

        group.start_soon(poll)
        await eventually(lambda: it.bot.polled)
        it.road.forget()
        await eventually(lambda: failures)
        assert isinstance(failures[0], ChannelUnreachable)


async def test_latency_does_not_add_up(clock: ManualClock) -> None:
    """Two hundred chats on a road of 200 ms each way: all have their answer after one round trip."""
    async with journey(clock) as it:
        it.road.up.latency_s = it.road.down.latency_s = 0.2
        done: list[int] = []

        async def send(chat: int) -> None:
            await it.channel.send(text_to(chat))
            done.append(chat)

        async with anyio.create_task_group() as group:
            for chat in range(1, 201):
                group.start_soon(send, chat)
            await eventually(lambda: it.road.waiting == 200)
            await it.clock.advance(0.2)
            await eventually(lambda: len(it.bot.sent) == 200)
            moved = 0
            while moved != it.road.moved:  # answers have come to the road's end
                moved = it.road.moved
                await eventually(lambda: True)
            assert done == []
            await it.clock.advance(0.2)
            await eventually(lambda: len(done) == 200)
            assert it.clock.monotonic() == pytest.approx(0.4)
