"""What asking a model takes is imported before anybody asks, and beside the loop; a fleet of echo bots imports none of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w

ROOT = Path(__file__).resolve().parents[2]

WATCHED = """
import json, sys, threading
from pathlib import Path
import anyio
{imports}

root, imported = Path(sys.argv[1]), {{}}

class Watching:
    def find_spec(name, *_):
        imported[name] = threading.current_thread() is not threading.main_thread()

async def main():
{body}

sys.meta_path.insert(0, Watching)
anyio.run(main)
print(json.dumps(imported))
"""
"""A program that prints what `main` imports: name → whether beside the loop."""

FLEET = """
    async with open_fleet(root, serve=False) as fleet:
        await eventually(lambda: fleet.pool.bot("support").phase == "running")
        if fleet.prices._reading is not None:
            await fleet.prices._reading
"""
"""A fleet whose bot nobody asks anything."""

PROGRAM = """
    async with Sandbox() as sandbox, BotManager() as manager:
        llm = {"provider": "openai", "model": "m", "base_url": sandbox.model_url}
        bot = await manager.get_or_create("support", {"llm": llm})
        assert await bot.chat("hello", BotContext("c", "c1")) == "hello"
"""
"""A bot without a worker: its first question is all there is of it."""


def imported_by(imports: str, body: str, root: Path) -> dict[str, bool]:
    """Return what WATCHED prints of a body."""
    program = WATCHED.format(imports=imports, body=body)
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    imported: dict[str, bool] = json.loads(done.stdout)
    return imported


def imported_by_a_fleet(root: Path, llm: dict[str, Any]) -> dict[str, bool]:
    """Return what a fleet of one bot imports from its start until the bot runs and what it began has ended."""
    (root / "bots").mkdir()
    (root / "fleet.toml").write_text("")
    (root / "bots" / "support.toml").write_text(tomli_w.dumps({"channel": "none", "llm": llm}))
    imports = "from console.runtime import open_fleet\nfrom tests.waiting import eventually"
    return imported_by(imports, FLEET, root)


def needed(provider: str) -> dict[str, bool]:
    """Return what has to be imported beside the loop."""
    return dict.fromkeys((f"workers.llm.{provider}", "workers.llm.endpoint", "genai_prices", "genai_prices.data"), True)


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("fallback", [False, True])
def test_a_bot_that_runs_has_its_models_imported_beside_the_loop(tmp_path: Path, provider: str, fallback: bool) -> None:
    """The provider's modules and the lists of prices are there before the first question; the loop imported none of them."""
    paid = {"provider": provider, "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    imported = imported_by_a_fleet(tmp_path, {"fallbacks": [paid]} if fallback else paid)
    assert needed(provider).items() <= imported.items()


def test_a_bot_of_a_program_has_them_imported_with_its_first_question(tmp_path: Path) -> None:
    """Beside the loop as well, which is the program's own."""
    imports = (
        "from console.sandbox.server import Sandbox\nfrom workers.bot import BotContext\n"
        "from workers.manager import BotManager"
    )
    assert needed("openai").items() <= imported_by(imports, PROGRAM, tmp_path).items()


def test_echo_bots_import_nothing_of_it(tmp_path: Path) -> None:
    """Neither endpoints nor prices: a fleet that asks nobody pays for neither."""
    imported = imported_by_a_fleet(tmp_path, {"provider": "echo"})
    assert "store.migrations" in imported, "the fleet was watched"
    assert not [name for name in imported if name.startswith(("genai_prices", "workers.llm.", "httpx"))]
