"""docs/console.md names the keys and filters that there are, and shows every screen."""

from __future__ import annotations

import re
from pathlib import Path

from console.tui.reference import text_with_keys

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_keys_are_current() -> None:
    """`make docs` would change nothing."""
    text = (DOCS / "console.md").read_text()
    assert text_with_keys(text) == text


def test_every_picture_is_there_and_every_picture_is_used() -> None:
    """A screen for each, made by `make screenshot`."""
    named = set(re.findall(r"images/([a-z]+)\.svg", (DOCS / "console.md").read_text()))
    assert named | {"quit"} == {path.stem for path in (DOCS / "images").glob("*.svg")} | {"quit"}


def test_the_filters_named_are_understood() -> None:
    """Every word in the section on filters is one the console knows."""
    from console.tui.filters import FACTS
    from console.tui.sources import _WORDS

    section = (DOCS / "console.md").read_text().partition("## Filters")[2].partition("## ")[0]
    named = set(re.findall(r"`!?(\w+):[^`]*`", section))
    assert named == {"phase", "cond", "is", *_WORDS}
    assert set(re.findall(r"`is:(\w+)`", section)) == set(FACTS)
