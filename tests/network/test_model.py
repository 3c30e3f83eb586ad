"""The way to the model is bad: the bot says so, its people get the error text, and it ends by itself."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from config.schema import LlmSection
from config.vocabulary import Condition, Role
from console.sandbox.server import Sandbox
from tests.network.place import Place, place, road_to
from tests.network.proxy import Proxy, Way
from tests.waiting import eventually
from workers.clock import ManualClock
from workers.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from workers.http import Http
from workers.llm.base import CompletionRequest, Message
from workers.llm.breakers import LONGEST_REST_S
from workers.llm.openai import OpenAIProvider

pytestmark = pytest.mark.anyio

REQUEST = CompletionRequest("double", (Message(Role.USER, "hello"),), timeout_s=60)


@asynccontextmanager
async def model_road(clock: ManualClock) -> AsyncIterator[tuple[OpenAIProvider, Proxy]]:
    http = Http()
    async with Sandbox(clock=clock) as sandbox, road_to(sandbox, clock) as road:
        section = LlmSection(provider="openai", base_url=f"http://127.0.0.1:{road.port}/v1")
        yield OpenAIProvider(section, http, clock), road
        await http.close()


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_an_answer_cut_anywhere(clock: ManualClock, then: str) -> None:
    """After any number of bytes, whole or streamed: an outage worth another try, never anything else."""
    async with model_road(clock) as (provider, road):
        for passes in range(0, 700, 23):
            road.hang_up()
            await eventually(lambda: not road.links)
            road.down = Way(passes=passes, then=then)
            outcomes = [await tried(provider.complete(REQUEST)), await tried(whole_of(provider))]
            assert all(isinstance(outcome, str | ProviderUnavailable) for outcome in outcomes)
            if passes < 200:
                assert all(isinstance(outcome, ProviderUnavailable) for outcome in outcomes)


async def tried(asking: Any) -> Any:
    try:
        answer = await asking
    except ProviderError as error:
        return error
    return answer if isinstance(answer, str) else answer.text


async def whole_of(provider: OpenAIProvider) -> str:
    return "".join([chunk.text async for chunk in provider.stream(REQUEST)])


async def test_an_answer_that_trickles_or_never_comes_is_bounded(clock: ManualClock) -> None:
    """A byte a second is alive, and still no answer: the time of the whole call counts."""
    async with model_road(clock) as (provider, road):
        for way in (Way(trickle_s=1.0), Way(passes=0), Way(passes=150)):
            road.hang_up()
            road.down = way
            for ask in (provider.complete(REQUEST), whole_of(provider)):
                outcomes: list[Any] = []

                async def do(ask: Any = ask, outcomes: list[Any] = outcomes) -> None:
                    outcomes.append(await tried(ask))

                began = clock.monotonic()
                async with anyio.create_task_group() as group:
                    group.start_soon(do)
                    await eventually(lambda: road.waiting)
                    while clock.monotonic() < began + REQUEST.timeout_s:
                        assert not outcomes
                        await clock.advance(1)
                assert isinstance(outcomes[0], ProviderTimeout)


async def talking(it: Place, number: int) -> None:
    """Somebody writes and gets an answer, whatever it is."""
    it.bots["shop"].say(number, f"hello {number}")
    await it.until(lambda: it.bots["shop"].sent_to(number), within_s=300)


async def test_a_refused_request_says_nothing_about_the_server(tmp_path: Path, clock: ManualClock) -> None:
    """One message the model will not take (too long, filtered) leaves the bot's condition as it is."""
    async with place(tmp_path, clock) as it:
        llm = {"provider": "openai", "model": "double", "base_url": it.sandbox.model_url}
        await it.start(["shop"], it.roads[0], llm=llm)
        for kind, reachable in (("bad_request", True), ("unauthorized", False), ("bad_request", True)):
            it.sandbox.model.faults.fail("chat", kind)
            await talking(it, it.rig.bot("shop").turns + 1)
            assert it.condition("shop", Condition.MODEL_REACHABLE)["status"] is reachable
        assert it.rig.bot("shop").errors == 3


async def test_an_outage_of_the_model_is_told_once(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """However many messages meet it: one line when it begins, one when it is over, and the reason in the status."""
    async with place(tmp_path, clock, roads=2) as it:
        way, road = it.roads
        llm = {"provider": "openai", "model": "double", "base_url": f"http://127.0.0.1:{road.port}/v1"}
        await it.start(["shop"], way, llm=llm)
        road.refuse()
        with caplog.at_level(logging.INFO):
            for number in range(1, 6):
                await talking(it, number)
            reason = it.condition("shop", Condition.MODEL_REACHABLE)["reason"]
            first = f"the model's server cannot be reached: 127.0.0.1:{road.port}: no connection: Connection refused"
            assert "resting until" in reason
            assert reason.endswith(f"after: {first}")
            road.clear()
            await clock.advance(LONGEST_REST_S)
            await talking(it, 7)
        assert it.bots["shop"].sent_to(7)[0].text == "hello 7"
        assert it.condition("shop", Condition.MODEL_REACHABLE)["status"] is True
        told = [record.getMessage() for record in caplog.records if "the model " in record.getMessage()]
        assert told[0] == f"the model is out of reach: {first}"
        assert told[1].startswith("the model answers again after ")
        assert (told[1].endswith("; 5 messages got no answer"), len(told)) == (True, 2)
        it.assert_unharmed()
