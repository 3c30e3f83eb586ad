"""Names that are not found, name servers that do not answer, servers that move."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from console.sandbox.server import Sandbox
from tests.network.place import road_to
from tests.network.ways import NameServer, name_server
from tests.workers.telegram_rig import TOKEN, telegram_config, text_to
from workers.channels.telegram import TelegramChannel
from workers.clock import ManualClock
from workers.errors import ChannelUnreachable
from workers.http import Http
from workers.names import AT_ONCE, LOOKUP_S, Names

pytestmark = pytest.mark.anyio

HOST = "telegram.test"


@pytest.fixture
def names() -> Iterator[NameServer]:
    with name_server() as server:
        yield server


async def test_the_resolver_fails_and_comes_back(names: NameServer, clock: ManualClock) -> None:
    """While the name is not found polls and sends never leave, and say which name; once it is found again all is well."""
    http = Http()
    async with Sandbox(clock=clock) as sandbox:
        sandbox._hosts |= {f"{HOST}:{sandbox.port}"}
        bot = sandbox.add_bot(TOKEN)
        channel = TelegramChannel(telegram_config(TOKEN, f"http://{HOST}:{sandbox.port}/bot"), http, clock)
        for _ in range(2):
            for call in (lambda: channel.poll(None, brief=True), lambda: channel.send(text_to(1))):
                with pytest.raises(ChannelUnreachable, match=rf"{HOST}: the name is not found: Name or service"):
                    await call()
        names.known[HOST] = "127.0.0.1"
        assert await channel.poll(None, brief=True) == []
        await channel.send(text_to(1, "found"))
        assert [sent.text for sent in bot.sent_to(1)] == ["found"]
        await http.close()


async def test_an_address_does_not_outlive_the_server_behind_it(names: NameServer, clock: ManualClock) -> None:
    """The server moves during an outage: the name is looked up anew after the first connection that fails."""
    http = Http()
    async with Sandbox(clock=clock) as sandbox, road_to(sandbox, clock) as road:
        sandbox._hosts |= {f"{HOST}:{road.port}"}
        sandbox.add_bot(TOKEN)
        channel = TelegramChannel(telegram_config(TOKEN, f"http://{HOST}:{road.port}/bot"), http, clock)
        names.known[HOST] = "127.0.0.3"  # nobody listens there
        with pytest.raises(ChannelUnreachable, match="Connection refused"):
            await channel.poll(None, brief=True)
        names.known[HOST] = "127.0.0.1"
        assert await channel.poll(None, brief=True) == []
        asked = len(names.asked)
        road.hang_up()
        assert asked == 2
        await http.close()


async def test_a_name_in_use_is_looked_up_once(names: NameServer, clock: ManualClock) -> None:
    """A hundred connections at once ask the name server a single time."""
    http = Http()
    names.known[HOST] = "127.0.0.1"
    async with Sandbox(clock=clock) as sandbox:
        sandbox._hosts |= {f"{HOST}:{sandbox.port}"}
        bot = sandbox.add_bot(TOKEN)
        channel = TelegramChannel(telegram_config(TOKEN, f"http://{HOST}:{sandbox.port}/bot"), http, clock)
        async with anyio.create_task_group() as group:
            for chat in range(1, 101):
                group.start_soon(channel.send, text_to(chat))
        assert len(bot.sent) == 100
        assert names.asked == [HOST]
        await http.close()


async def test_names_that_hang_hold_up_no_other(names: NameServer) -> None:
    """More hanging look-ups than the loop has threads for, and another name is found at once."""
    resolver = Names(ManualClock())
    names.known[HOST] = "127.0.0.7"
    async with anyio.create_task_group() as group:
        for number in range(AT_ONCE - 1):
            group.start_soon(resolver.resolve, f"hangs{number}")
        (found,) = await resolver.resolve(HOST, 80)
        assert (found["host"], found["port"], found["hostname"]) == ("127.0.0.7", 80, HOST)
        group.cancel_scope.cancel()


async def test_a_name_server_that_does_not_answer_is_named_as_the_cause(names: NameServer) -> None:
    """The look-up ends before making a connection would run out of time, so that the reason is right."""
    clock, failures = ManualClock(), []
    resolver = Names(clock)

    async def resolve() -> None:
        try:
            await resolver.resolve("hangs")
        except OSError as error:
            failures.append(error.strerror)

    async with anyio.create_task_group() as group:
        group.start_soon(resolve)
        await clock.advance(LOOKUP_S)
    assert failures == ["the name server gave no answer in 8 s"]
