"""A tool that runs for as long as a test likes: "do hold" calls it, and it ends once its file is there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

HOLD: Final = """
import asyncio
from pathlib import Path

async def hold() -> str:
    '''Wait to be let go.'''
    while not Path({path!r}).exists():
        await asyncio.sleep(0.01)
    return "let go"
"""

KEYS: Final = """
[llm.options]
call = "do"

[[tools]]
name = "hold"
kind = "python"
callable = "holding:hold"
"""


def give_tool(root: Path, bot_id: str, go: Path) -> None:
    """Give a bot the tool; its file ends with the table of its model. It ends once `go` is there."""
    (root / "tools").mkdir(exist_ok=True)
    (root / "tools" / "holding.py").write_text(HOLD.format(path=str(go)))
    path = root / "bots" / f"{bot_id}.toml"
    path.write_text(path.read_text() + KEYS)
