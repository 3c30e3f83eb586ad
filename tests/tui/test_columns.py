"""What stands in the columns of the list, and which of them fit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from rich.cells import cell_len

from config.vocabulary import Phase
from console.tui import words
from console.tui.columns import COLUMNS, fold, news, phase_cell
from console.tui.widgets.cells import fitted, height, wrapped
from tests.tui.frames import NOW, condition, row


@pytest.mark.parametrize("width", [20, 60, 79, 80, 99, 120, 140, 200, 300])
def test_columns_fold_away_and_never_overlap(width: int) -> None:
    """At every width the columns stand side by side within it, phase and bot always among them."""
    places = fold(width, {"bot": 20, "username": 20})
    ids = [place.column.id for place in places]
    assert ids[:2] == ["phase", "bot"]
    assert ids == [name for name in COLUMNS if name in ids]
    for place, following in pairwise(places):
        assert place.x + place.width + 1 == following.x
    if width >= 60:
        assert places[-1].x + places[-1].width <= width


def test_eighty_columns_show_what_matters() -> None:
    """At 80 columns load, errors and what happened last are to be seen; at 200 everything is."""
    assert {"uptime", "inbox", "rate", "p95", "errors", "news"} <= {place.column.id for place in fold(79)}
    assert [place.column.id for place in fold(199)] == list(COLUMNS)


@pytest.mark.parametrize("glyphs", [words.GLYPHS, words.PLAIN_GLYPHS])
def test_every_phase_has_a_sign_and_its_word(glyphs: words.Glyphs) -> None:
    """A phase is never told by its colour alone, and its sign is one cell wide."""
    signs = set()
    for phase in Phase:
        text, role = phase_cell(row("a", phase), NOW, glyphs)
        assert text.split()[1] == phase
        assert cell_len(text[0]) == 1
        assert role
        signs.add(text[0])
    assert len(signs) == len(Phase)
    assert all(cell_len(sign) == 1 for sign in glyphs.bars)


def test_backoff_counts_down_and_unknown_phases_are_shown() -> None:
    """A bot in back-off says when it tries again; a phase of a newer fleet is shown as it is named."""
    text, _ = phase_cell(row("a", Phase.BACKOFF, retry_at=NOW + 12.7), NOW, words.GLYPHS)
    assert text == "↻ backoff 12s"
    assert phase_cell(row("a", "dreaming"), NOW, words.GLYPHS) == ("? dreaming", "warn")
    assert phase_cell(row("a", paused=True), NOW, words.GLYPHS) == ("‖ paused", "quiet")


def test_news_is_trouble_before_events() -> None:
    """Why a bot does not run comes first, then what is amiss, then the last event with its age."""
    event = {"bot_id": "a", "at": NOW - 7200, "kind": "BotStarted", "data": {"generation": 1}, "actor": ""}
    calm = row("a", figures={"last_event": event})
    assert news(calm, NOW, words.GLYPHS) == ("ready, 2h ago", "quiet")
    doubled = row("a", conditions={"token_in_use": condition(True, "another program\npolls")})
    assert news(doubled, NOW, words.GLYPHS) == ("! token in use: another program polls", "warn")
    failed = row("a", Phase.BACKOFF, phase_reason="RuntimeError: \x1b[31mred")
    assert news(failed, NOW, words.GLYPHS) == ("RuntimeError: \\x1b[31mred", "warn")
    assert news(row("a", Phase.STARTING, conditions={"polling": condition(False)}), NOW, words.GLYPHS) == ("", "")


@pytest.mark.parametrize("text", ["plain", "ümläut", "日本語のボット", "👩‍👩‍👧 family", "e\u0301", ""])
def test_text_is_fitted_to_cells(text: str) -> None:
    """Whatever strangers write, a cell is exactly as wide as its column, and wrapped text loses nothing."""
    for width in (1, 4, 7, 20):
        assert cell_len(fitted(text, width)) == width
        assert cell_len(fitted(text, width, right=True)) == width
        assert len(wrapped(text, max(2, width))) == height(text, max(2, width))
    assert "".join(wrapped(text, 4)) == text


def test_figures_are_short() -> None:
    """Numbers, durations and money fit their columns."""
    assert [words.count(n) for n in (None, 0, 999, 1234, 99_999, 123_456, 4.5e6)] == [
        "-", "0", "999", "1.2k", "100k", "123k", "4.5M",
    ]  # fmt: skip
    assert [words.seconds(s) for s in (None, 0.0004, 0.85, 0.9996, 9.96, 61)] == [
        "-",
        "0ms",
        "850ms",
        "1.0s",
        "9s",
        "1m",
    ]
    assert [words.money(m) for m in (None, 0, 0.0042, 1.234, 1234)] == ["-", "$0", "$0.004", "$1.23", "$1.2k"]
    assert [words.rate(r) for r in (None, 0, 0.4, 3.0, 12.3)] == ["-", "0", "0.4", "3", "12"]
    assert words.spark([0, 1, 4], 5, words.GLYPHS.bars) == "   ▂█"
    assert words.spark([0, 0], 3, words.GLYPHS.bars) == "   "
    assert words.some(["a", "b", "c", "d"]) == "a, b, c and 1 more"
