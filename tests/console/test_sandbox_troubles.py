"""The demo's troubles are real ones: the fleet beside it sees a crash, a bad edit and a shared token, and gets over them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import anyio
import pytest

from console.control import EventQuery
from console.runtime import Fleet, open_fleet
from console.sandbox.demo import Demo
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def seen(fleet: Fleet, bot_id: str) -> Counter[str]:
    return Counter(event["kind"] for event in await fleet.control.events(EventQuery((bot_id,), tail=1000)))


async def test_every_trouble_comes_and_goes(tmp_path: Path) -> None:
    """The courier fails and runs again, the gardener's file is rejected and taken again, the twin's token is in use."""
    async with (
        Demo(tmp_path, pace=20, show=lambda _: None) as demo,
        open_fleet(tmp_path, channels=demo.open_channel, serve=False) as fleet,
        anyio.create_task_group() as group,
    ):
        group.start_soon(demo.run)

        async def all_seen() -> bool:
            courier, gardener, twin = [await seen(fleet, bot_id) for bot_id in ("courier", "gardener", "twin")]
            over = courier["BotFailed"] and courier["BotStarted"] > courier["BotFailed"]
            return bool(over and gardener["ConfigRejected"] and gardener["ConfigApplied"] and twin["TokenInUse"])

        await eventually(all_seen, within_s=30)
        for calm in ("support", "shop", "poet"):
            assert not (await seen(fleet, calm)).keys() & {"BotFailed", "ConfigRejected", "TokenInUse", "TurnFailed"}
        group.cancel_scope.cancel()
    assert "warm" not in (tmp_path / "bots" / "gardener.toml").read_text()
