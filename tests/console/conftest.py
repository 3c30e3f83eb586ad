"""A small fleet over a double of Telegram, and every Control of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.vocabulary import Phase
from console.attach import connect
from console.control import Control
from console.runtime import Fleet, open_fleet
from console.sandbox.server import Sandbox
from tests.fleet_process import write_bot
from tests.waiting import eventually


@pytest.fixture
async def double() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def fleet(tmp_path: Path, double: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    """Two running bots, alpha and beta, and gamma, whose file is bad."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    root = tmp_path / "fleet"
    for bot_id in ("alpha", "beta"):
        write_bot(root, bot_id, double.add_bot(username=f"{bot_id}_bot").token, double.base_url)
    (root / "fleet.toml").write_text('[fleet]\nname = "ours"\n[start]\nrate_per_s = 0\n')
    (root / "bots" / "gamma.toml").write_text("naem = 1\n")
    async with open_fleet(root) as running:
        await eventually(lambda: running.pool.bot("alpha").phase == running.pool.bot("beta").phase == Phase.RUNNING)
        yield running


@pytest.fixture(params=["local", "remote"])
async def control(request: pytest.FixtureRequest, fleet: Fleet) -> Control:
    return fleet.control if request.param == "local" else await connect(fleet.place)
