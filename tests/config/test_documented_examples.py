"""What docs/configuration.md shows loads, and what a new fleet's comments suggest does too."""

from __future__ import annotations

import re
import tomllib

import pytest

from config.reference import PAGE
from config.schema import FleetConfig
from console.commands.init import BOT_TOML
from tests.config.conftest import TOKEN, Folder

BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
ENVIRON = {
    "ANTHROPIC_API_KEY": "a" * 20,
    "EXAMPLE_TOKEN": TOKEN,
    "OPENAI_API_KEY": "b" * 20,
    "SUPPORT_TOKEN": TOKEN,
    "WEATHER_KEY": "c" * 20,
}


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if "$resource" not in block and "[llm_providers" not in block]
)
def test_every_example_loads(folder: Folder, block: str) -> None:
    """As a bot's file, or as fleet.toml when it holds only what stands there; without a warning."""
    folder.environ = ENVIRON
    if tomllib.loads(block).keys() <= FleetConfig.model_fields.keys():
        folder.write("fleet.toml", block)
    else:
        folder.bot("a", block)
    snapshot = folder.load()
    assert (snapshot.problems, snapshot.warnings) == ((), ())


def test_there_is_an_example_of_every_list() -> None:
    """And of every theme."""
    shown = "".join(BLOCKS)
    for heading in (
        "[[llm.fallbacks]]",
        "[[tools]]",
        "[[commands]]",
        "[[prices]]",
        "[texts.en]",
        "[access]",
        "[voice]",
    ):
        assert heading in shown


def test_what_a_new_bot_suggests_loads(folder: Folder) -> None:
    """Each commented line of the template, taken in."""
    folder.environ = ENVIRON
    lines = BOT_TOML.splitlines()
    llm = lines.index("[llm]")
    taken = [line for line in lines[:llm] if not line.startswith("#")]
    for line in lines[llm:]:
        suggested = re.fullmatch(r"# (\[\[.*|[a-z_]+ = .*)", line)
        if line.startswith("provider = "):
            continue
        if suggested or not line.startswith("#"):
            taken.append(suggested[1] if suggested else line)
    folder.bot("a", "\n".join(taken))
    snapshot = folder.load()
    assert snapshot.problems == ()
    config = snapshot.bots["a"].config
    assert (len(config.tools), len(config.commands), len(config.llm.fallbacks)) == (1, 1, 1)
    assert config.llm.provider == "openai"
