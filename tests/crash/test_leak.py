"""A worker that ignores its cancellation does not keep the process alive: it ends by force, with everything written down."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import pytest

from console.sandbox.server import Sandbox
from tests.fleet_process import fleet_process, query, write_bot
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

STUBBORN = """
import asyncio, sys
import workers.llm, workers.run
from console.cli import run

class Stubborn:
    def __init__(self, *parts):
        pass
    async def complete(self, request):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

workers.llm.PROVIDERS["echo"] = "__main__:Stubborn"
workers.run.CLEANUP_S = 0.2
sys.exit(run(sys.argv[1:]))
"""
"""botdeck with a model that swallows cancellations, as a careless library does; a worker's clean-up is cut to 0.2 s."""


async def test_a_fleet_with_a_worker_left_behind_ends_by_force(tmp_path: Path) -> None:
    """Told on stderr, with the code of the signal; the update stays open, the database is closed."""
    async with Sandbox() as sandbox, fleet_process(tmp_path) as fleet:
        bot = sandbox.add_bot()
        write_bot(tmp_path, "support", bot.token, sandbox.base_url)
        fleet.command = [sys.executable, "-c", STUBBORN, "run"]
        await fleet.started()
        bot.say(7, "hello")
        await eventually(lambda: bot.calls["sendChatAction"] > 0)
        assert fleet.process is not None
        fleet.process.send_signal(signal.SIGTERM)
        with anyio.fail_after(10):
            phase = "SELECT phase FROM bots WHERE bot_id = 'support'"
            await eventually(lambda: query(tmp_path, phase) == [("draining",)])
        assert await fleet.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert any("ending by force" in line for line in fleet.lines)
    assert query(tmp_path, "SELECT count(*) FROM updates WHERE outcome IS NULL") == [(1,)]
    assert query(tmp_path, "SELECT value FROM meta WHERE key = 'open'") == [("no",)]
    assert not (tmp_path / "botdeck.db-wal").exists()
