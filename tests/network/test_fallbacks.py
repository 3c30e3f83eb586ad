"""A whole bot whose model is away: another one answers, endpoints rest for those who share them, nobody else notices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.vocabulary import Condition
from tests.network.place import Place, place
from workers.clock import ManualClock
from workers.llm.breakers import LONGEST_REST_S

pytestmark = pytest.mark.anyio


def main_model(it: Place, key: str = "k1", **more: Any) -> dict[str, Any]:
    """A model at the end of the second road."""
    url = f"http://127.0.0.1:{it.roads[1].port}/v1"
    return {"provider": "openai", "model": "main", "base_url": url, "api_key": key, **more}


async def said(it: Place, bot_id: str, number: int) -> str:
    """What somebody gets who writes to a bot."""
    it.bots[bot_id].say(number, f"hello {number}")
    await it.until(lambda: it.bots[bot_id].sent_to(number), within_s=300)
    return str(it.bots[bot_id].sent_to(number)[0].text)


async def test_another_model_answers_and_is_named(tmp_path: Path, clock: ManualClock) -> None:
    """People notice nothing, the operator sees who answers and why; the first one is asked again when its rest is over."""
    async with place(tmp_path, clock, roads=2) as it:
        spare = {"provider": "anthropic", "model": "spare", "base_url": it.sandbox.model_url, "api_key": "k2"}
        await it.start(["shop"], it.roads[0], llm=main_model(it, fallbacks=(spare,)))
        it.roads[1].refuse()
        assert [await said(it, "shop", number) for number in (1, 2, 3)] == ["hello 1", "hello 2", "hello 3"]
        state = it.condition("shop", Condition.MODEL_REACHABLE)
        assert state["status"] is True
        assert state["reason"].startswith("spare answers")
        assert "openai main: " in state["reason"]
        assert "resting until" in state["reason"]
        assert {call.model for call in it.sandbox.model.calls} == {"spare"}
        it.roads[1].clear()
        await clock.advance(LONGEST_REST_S)
        assert await said(it, "shop", 4) == "hello 4"
        assert it.sandbox.model.calls[-1].model == "main"
        assert it.condition("shop", Condition.MODEL_REACHABLE)["reason"] == ""
        it.assert_unharmed()


async def test_bots_of_one_key_rest_together_others_do_not(tmp_path: Path, clock: ManualClock) -> None:
    """What one bot found out saves the other its tries; a bot with another key finds out for itself."""
    async with place(tmp_path, clock, roads=2) as it:
        way = it.roads[0]
        await it.start(["a", "b"], way, llm=main_model(it))
        await it.start(["c"], way, llm=main_model(it, key="k2"))
        it.roads[1].refuse()
        for number in (1, 2):
            await said(it, "a", number)
        for bot_id, rests in (("b", True), ("c", False)):
            await said(it, bot_id, 3)
            state = it.condition(bot_id, Condition.MODEL_REACHABLE)
            assert state["status"] is False
            assert ("resting until" in state["reason"]) is rests
        it.roads[1].clear()
        assert await said(it, "c", 4) == "hello 4"
        await clock.advance(LONGEST_REST_S)
        assert [await said(it, bot_id, 5) for bot_id in ("b", "a")] == ["hello 5"] * 2
        it.assert_unharmed()


async def test_a_servers_hint_is_obeyed(tmp_path: Path, clock: ManualClock) -> None:
    """Nobody asks before the time it told; then the same model answers."""
    async with place(tmp_path, clock, roads=2) as it:
        await it.start(["shop"], it.roads[0], llm=main_model(it))
        it.sandbox.model.faults.fail("chat", "flood", retry_after=15)
        it.bots["shop"].say(1, "hello")
        await it.until(lambda: it.sandbox.model.call_count == 1, within_s=5)
        passed_s = await it.until(lambda: it.sandbox.model.call_count == 2, within_s=60)
        assert 14 <= passed_s <= 17
        await it.until(lambda: it.bots["shop"].sent_to(1), within_s=5)
        assert it.bots["shop"].sent_to(1)[0].text == "hello"
