"""What the guides show loads: each example as part of a bot's file, or as fleet.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from config.schema import FleetConfig
from tests.config.conftest import TOKEN, Folder

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDES = ("conversations", "tools")
EXAMPLES = [
    pytest.param(block, id=f"{guide}-{number}")
    for guide in GUIDES
    for number, block in enumerate(
        re.findall(r"```toml\n(.*?)```", (DOCS / f"{guide}.md").read_text(encoding="utf-8"), re.DOTALL), 1
    )
]
ENVIRON = {
    "ANTHROPIC_API_KEY": "a" * 20,
    "FILES_KEY": "b" * 20,
    "OPENAI_API_KEY": "c" * 20,
    "SUPPORT_TOKEN": TOKEN,
    "WEATHER_KEY": "d" * 20,
}


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_example_loads(folder: Folder, block: str) -> None:
    """Into a bot that has nothing else, without a word of complaint."""
    folder.environ = ENVIRON
    if tomllib.loads(block).keys() <= FleetConfig.model_fields.keys():
        folder.write("fleet.toml", block)
    else:
        folder.bot("a", f'channel = "none"\n{block}')
    snapshot = folder.load()
    assert (snapshot.problems, snapshot.warnings) == ((), ())


def test_each_theme_has_an_example() -> None:
    """A section of the guide without TOML would be one nobody can try."""
    sections = (DOCS / "conversations.md").read_text(encoding="utf-8").split("\n## ")[1:]
    assert len(sections) == 13
    assert [section.partition("\n")[0] for section in sections if "```toml" not in section] == []
