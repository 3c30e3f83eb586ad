"""What the documents say is so: links lead somewhere, files and commands exist, lists are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.vocabulary import Condition, Phase
from console import exits
from console.cli import TREE

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file of the repository."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_are_named_exist(page: Path) -> None:
    """A path in backticks below one of our folders is there."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:config|store|workers|console|tests|docs)/[\w./*-]+)`", text)
    assert [name for name in named if not list(ROOT.glob(name.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_that_are_shown_exist(page: Path) -> None:
    """`botdeck WORD …` in any page names a command of the table."""
    shown = set(
        re.findall(r"(?:^|`|&& |\$ )botdeck ([a-z]+)(?: ([a-z]+))?", page.read_text(encoding="utf-8"), re.MULTILINE)
    )
    unknown = []
    for first, second in shown:
        entry = TREE.get(first)
        if entry is None or (isinstance(entry, dict) and second and second not in entry):
            unknown.append(f"{first} {second}")
    assert unknown == []


def test_every_command_is_in_the_changelog_or_readme() -> None:
    """Nothing is hidden from the reader."""
    text = text_of("README.md") + text_of("CHANGELOG.md")
    assert [name for name in TREE if name and not re.search(rf"\b{name}\b", text)] == []


def test_exit_codes_are_all_explained() -> None:
    """docs/operating.md lists the codes of console/exits.py."""
    codes = {value for name, value in vars(exits).items() if name.isupper()}
    text = text_of("docs/operating.md")
    table = text[text.index("| code |") :].split("\n\n")[0]
    listed = {int(code) for row in table.splitlines()[2:] for code in re.findall(r"\d+", row.split("|")[1])}
    assert listed == codes


def test_phases_and_conditions_are_all_explained() -> None:
    """docs/operating.md explains each word of status."""
    text = text_of("docs/operating.md")
    assert [str(word) for word in (*Phase, *Condition) if f"`{word}`" not in text] == []


def test_readme_shows_its_two_commands_first() -> None:
    """The first screen holds the sentence and the two commands."""
    first_screen = text_of("README.md").splitlines()[:45]
    assert any(line.startswith("make demo") for line in first_screen)
    assert any(line.startswith("make test") for line in first_screen)
