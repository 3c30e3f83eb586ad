"""A tool that heeds no cancellation: its turn goes on, and the process ends when it is asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.sandbox.server import Sandbox
from tests.fleet_process import fleet_process, write_bot
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

TOOL = '''
import anyio

async def stubborn() -> str:
    """Wait."""
    while True:
        try:
            await anyio.sleep(3600)
        except BaseException:
            continue
'''


async def test_a_process_with_a_stubborn_tool_ends(tmp_path: Path) -> None:
    """By force, once all that counts is written; the log names bot and tool."""
    async with Sandbox() as sandbox, fleet_process(tmp_path) as fleet:
        bot = sandbox.add_bot()
        sandbox.model.script_calls(("stubborn", "{}"))
        path = write_bot(
            tmp_path, "support", bot.token, sandbox.base_url, limits={"tool_timeout_s": 0.5},
            llm={"provider": "openai", "model": "m", "base_url": sandbox.model_url, "api_key": "k"},
        )  # fmt: skip
        path.write_text(
            f'{path.read_text()}\n[[tools]]\nname = "stubborn"\nkind = "python"\ncallable = "bad:stubborn"\n'
        )
        (tmp_path / "tools").mkdir()
        (tmp_path / "tools" / "bad.py").write_text(TOOL)
        await fleet.started()
        bot.say(501, "go")
        await eventually(lambda: bot.sent)
        assert await fleet.end() == 1
        assert any("support" in line and "stubborn" in line for line in fleet.lines)
        assert any("ending by force" in line for line in fleet.lines)
