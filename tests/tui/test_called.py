"""Tools that were called, where an answer is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.control import EventQuery
from console.runtime import Fleet
from store.events import ToolCalled
from store.turns import TurnRecord
from store.updates import NewUpdate
from tests.tui.consoles import console, running_fleet, screen_text, seen
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet") as running:
        yield running


async def turn(fleet: Fleet, update_id: int, said: str) -> None:
    partition, now_ms = fleet.store.partition("poet"), int(fleet.clock.now() * 1000)
    await partition.updates.receive([NewUpdate(update_id, "77", "{}")], None, now_ms)
    record = TurnRecord(update_id, "", "77", "501", "telegram", "answered", f"what is {said}?", f"it is {said}")
    await partition.record_turn(record, now_ms)


def call(fleet: Fleet, update_id: int | None, tool: str, error: str = "") -> None:
    at = fleet.clock.now()
    fleet.bus.publish(ToolCalled(bot_id="poet", at=at, update_id=update_id, tool=tool, duration_s=0.35, error=error))


async def test_an_answer_names_the_tools_called_for_it(fleet: Fleet) -> None:
    """Below its head, with time and error; those of another answer and of no update at all stay out of it."""
    call(fleet, 5, "weather", "the server\x1b[2J said 500")
    call(fleet, 6, "clock")
    call(fleet, None, "dice")
    await turn(fleet, 5, "rain")
    await turn(fleet, 6, "noon")
    await turn(fleet, 7, "nothing")
    await eventually(lambda: _written(fleet, 3))
    async with console(fleet.control, size=(140, 40)) as pilot:
        pilot.app.open_bot("poet", "conversations")
        await seen(pilot, "it is nothing", "tool weather called in 350ms: the server\\x1b[2J said 500")
        lines = [line[40:].strip() for line in screen_text(pilot).splitlines()]
        about = [line for line in lines if line.startswith(("tool", "it is"))]
        assert [line.split()[1] for line in about] == ["weather", "is", "clock", "is", "is"]
        await pilot.press("5")
        await seen(pilot, "tool dice called in 350ms")


async def _written(fleet: Fleet, count: int) -> bool:
    return len(await fleet.control.events(EventQuery(("poet",), kinds=("ToolCalled",)))) == count
