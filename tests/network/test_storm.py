"""Everything at once, plain and in TLS: whatever a connection does, only what is foreseen is raised."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from config.schema import LlmSection
from config.vocabulary import Role
from tests.network.certificates import GOOD, serving, trusting
from tests.network.proxy import Proxy, Way
from tests.workers.telegram_rig import TOKEN, assert_no_token, canned_server, telegram_config, text_to
from workers.channels.telegram import TelegramChannel
from workers.clock import ManualClock
from workers.errors import ChannelUnreachable, ProviderUnavailable, SendUncertain
from workers.http import Http
from workers.llm.base import CompletionRequest, Message
from workers.llm.openai import OpenAIProvider

pytestmark = pytest.mark.anyio

FORESEEN = (ChannelUnreachable, SendUncertain, ProviderUnavailable)
CALLERS, CALLS = 30, 25
BIG = "x" * 100_000


async def all_knowing(request: web.Request) -> web.Response:
    """A Bot API and a model in one, with answers of some length."""
    try:
        await request.read()
    except ConnectionError:
        return web.Response()  # nobody is there any more
    if request.path.endswith("/completions"):
        return web.json_response({"choices": [{"message": {"content": BIG}, "finish_reason": "stop"}]})
    if request.path.endswith("/getUpdates"):
        return web.json_response({"ok": True, "result": [{"update_id": 1, "message": {"text": BIG}}]})
    return web.json_response({"ok": True, "result": {"message_id": 1}})


class Storm:
    """Switches the road at random; nothing it does leaves a caller waiting."""

    def __init__(self, road: Proxy, seed: int) -> None:
        self._road = road
        self._random = random.Random(seed)

    def blow(self) -> None:
        road, chance = self._road, self._random
        way = Way(passes=chance.randrange(4000), then=chance.choice(["close", "reset"]))
        match chance.randrange(8):
            case 0:
                road.reset()
            case 1:
                road.hang_up()
            case 2:
                road.down = way
            case 3:
                road.up = way
            case 4:
                road.refuse()
            case 5:
                for link in road.links[:5]:
                    link.down.passes, link.down.then = way.passes, way.then
            case _:
                road.clear()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_storm(tmp_path: Path, tls: bool) -> None:
    """Thirty callers, polls, sends and models, while connections are refused, cut, reset at every point of a request."""
    http, met = Http(tls=trusting(GOOD)), Counter[str]()
    async with canned_server(all_knowing, serving(GOOD, tmp_path) if tls else None) as url:
        port = url.rpartition(":")[2]
        async with Proxy(int(port)) as road:
            url, storm = url.replace(port, str(road.port)), Storm(road, seed=7)
            channel = TelegramChannel(telegram_config(TOKEN, f"{url}/bot"), http, ManualClock())
            provider = OpenAIProvider(LlmSection(provider="openai", base_url=f"{url}/v1"), http, ManualClock())

            async def call(number: int) -> None:
                for turn in range(CALLS):
                    try:
                        await one_call(channel, provider, number + turn)
                        met["well"] += 1
                    except FORESEEN as error:
                        assert_no_token(error)
                        assert_no_address(error)
                        met[type(error).__name__] += 1
                    storm.blow()

            async with anyio.create_task_group() as group:
                for number in range(CALLERS):
                    group.start_soon(call, number)
        await http.close()
    assert met.total() == CALLERS * CALLS
    assert met.keys() == {"well", *(kind.__name__ for kind in FORESEEN)}, met


def assert_no_address(error: Exception) -> None:
    """Fail when a path shows, of which the token is a part."""
    assert "://" not in str(error)


async def one_call(channel: TelegramChannel, provider: OpenAIProvider, number: int) -> Any:
    request = CompletionRequest("m", (Message(Role.USER, BIG if number % 3 else "short"),))
    match number % 4:
        case 0:
            return await channel.send(text_to(number + 1, BIG[:4000] if number % 3 else "short"))
        case 1:
            return await channel.poll(None, brief=True)
        case 2:
            return await provider.complete(request)
    return [chunk async for chunk in provider.stream(request)]
