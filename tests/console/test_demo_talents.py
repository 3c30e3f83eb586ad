"""What the demo is there to show happens in it: each feature is used by somebody, over the real code path."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from console.control import EventQuery
from console.runtime import open_fleet
from console.sandbox import voices
from console.sandbox.bots import SandboxBot, SentMessage
from console.sandbox.demo import Demo
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


def sent(bot: SandboxBot | None, words: str) -> SentMessage | None:
    assert bot is not None
    return next((message for message in bot.sent if words in message.text), None)


async def test_every_talent_is_seen(tmp_path: Path) -> None:
    """Streaming, tools, a profile, commands, buttons, a picture, a group with topics, a closed door, two languages."""
    async with (
        Demo(tmp_path, pace=60, show=lambda _: None, troubles=False) as demo,
        open_fleet(tmp_path, channels=demo.open_channel, serve=False) as fleet,
        anyio.create_task_group() as group,
    ):
        group.start_soon(demo.run)
        bots = {bot_id: demo.sandbox.find_bot(f"{bot_id}_demo_bot") for bot_id in voices.PROMPTS}
        events = EventQuery(("shop", "support"), tail=1000, kinds=("ToolCalled",))

        async def called() -> set[str]:
            return {event["data"]["tool"] for event in await fleet.control.events(events)}

        async def all_seen() -> bool:
            return (
                {"calculator", "time", "remember"} <= await called()
                and sent(bots["shop"], "That makes") is not None
                and sent(bots["support"], "You ride a folding one.") is not None
                and sent(bots["support"], "9 to 18") is not None
                and sent(bots["support"], "Часы работы") is not None
                and sent(bots["gardener"], "cannot take this kind") is not None
                and sent(bots["keeper"], "Это закрытый бот") is not None
                and sent(bots["club"], "Two hours") is not None
            )

        await eventually(all_seen, within_s=50)
        poet, club = bots["poet"], bots["club"]
        assert poet is not None and poet.calls["editMessageText"]
        route = sent(club, "Two hours")
        assert route is not None and route.topic_id == 11
        assert [entity["type"] for entity in route.params["entities"]] == ["pre"]
        lights = sent(bots["shop"], "Lights")
        assert lights is None or "pre" in [entity["type"] for entity in lights.params["entities"]]
        group.cancel_scope.cancel()
