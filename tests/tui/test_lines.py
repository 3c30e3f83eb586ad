"""The lines of a log pane: numbered, bounded, read back, wrapped."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import BadRequest
from console.tui.sources import moment, narrow, passes
from console.tui.widgets.ring import Line, Ring
from console.tui.widgets.rows import FlatRows, Rows, WrappedRows

NOW = 1_700_000_000.0


def line(number: float, text: str = "", more: str = "") -> Line:
    return Line(number, "info", "a", text or f"line {number:g}", more)


def test_numbers_keep_their_lines() -> None:
    """What is appended gets the next number; the oldest fall out, the others keep theirs."""
    ring = Ring(capacity=3)
    assert ring.append([line(n) for n in range(6)]) == 0
    assert ring.append([line(6), line(7)]) == 2
    assert (ring.first, ring.end, ring[5]) == (2, 8, line(5))
    assert ring.trim() == 3
    assert [each.at for each in ring.slice(0, 99)] == [5, 6, 7]
    assert ring.dropped == 5


def test_older_lines_come_before_without_repeats() -> None:
    """A page of the store may overlap what is here, also within one moment; only what is older is taken."""
    ring = Ring(capacity=10)
    ring.append([line(5, "a"), line(5, "b"), line(6)])
    page = [line(3), line(4), line(5, "older twin"), line(5, "a"), line(5, "b")]
    older = ring.older(page)
    assert older == [line(3), line(4), line(5, "older twin")]
    assert ring.prepend(older) == 3
    assert ring.first == -3
    assert ring[-1].text == "older twin"
    assert ring[2] == line(6)


def test_older_lines_have_their_own_room() -> None:
    """As many older lines as the ring holds may be read in beside the newer ones, no more."""
    ring = Ring(capacity=2)
    ring.append([line(10), line(11)])
    assert ring.prepend([line(n) for n in range(5)]) == 2
    assert [each.at for each in ring.slice(-9, 9)] == [3, 4, 10, 11]
    assert ring.prepend([line(0)]) == 0


def test_finding_goes_round() -> None:
    """A search goes on at the other end, and says when there is nothing."""
    ring = Ring()
    ring.append([line(n, "x" if n in {2, 5} else "-") for n in range(8)])
    ring.trim()

    def hit(each: Line) -> bool:
        return each.text == "x"

    assert [ring.find(hit, start) for start in (0, 3, 6)] == [2, 5, 2]
    assert [ring.find(hit, start, back=True) for start in (7, 4, 1)] == [5, 2, 5]
    assert ring.find(lambda _: False, 0) is None
    assert Ring().find(hit, 0) is None
    assert (ring.at(4.5), ring.at(-1), ring.at(99)) == (5, 0, 8)


texts = st.text(st.sampled_from("ab 日é"), max_size=40)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=25), st.integers(8, 30), st.randoms())
def test_rows_and_lines_fit_together(lines: list[tuple[str, str]], width: int, chance: random.Random) -> None:
    """Each row shows one part of one line, in order, whatever has been added at either end or has fallen out."""
    ring = Ring(capacity=6)
    for rows in (FlatRows(ring), WrappedRows(ring, width)):
        ring.clear()
        at = 1000.0
        rows = type(rows)(ring) if isinstance(rows, FlatRows) else WrappedRows(ring, width)
        for text, more in lines:
            at += 1
            if chance.random() < 0.2:
                taken = ring.prepend([line(-at, text, more)])
                rows.prepended(taken)
            else:
                gone = ring.append([line(at, text, more)])
                rows.appended([line(at, text, more)])
                gone += ring.trim() if chance.random() < 0.5 else 0
                rows.dropped(gone)
            check(rows, ring)


def check(rows: Rows, ring: Ring) -> None:
    places = [rows.locate(row) for row in range(rows.total())]
    expected = []
    for number in range(ring.first, ring.end):
        after = rows.row_of(number + 1) if number + 1 < ring.end else rows.total()
        expected += [(number, part) for part in range(after - rows.row_of(number))]
    assert places == expected
    assert len({number for number, _ in places}) == len(ring)


def test_filters_are_understood() -> None:
    """Words with a colon narrow, the rest is one regular expression."""
    asked = narrow("level:w bot:shop-*,poet since:10m until:5m kind:Bot* by:Anna  time out", NOW)
    assert (asked.level, asked.bots, asked.pattern) == ("warning", ("shop-*", "poet"), "time out")
    assert (asked.since, asked.until) == (NOW - 600, NOW - 300)
    assert (asked.kinds, asked.by) == (("Bot*",), "anna")
    assert narrow("http://x level:", NOW).pattern == "http://x level:"
    for wrong in ("level:loud", "since:soon", "("):
        with pytest.raises(BadRequest):
            narrow(wrong, NOW)


def test_a_word_turned_round_leaves_lines_out() -> None:
    """`!` before a text, a bot or a kind; more of them all count; what cannot be turned round is said."""
    asked = narrow("level:info !POLL(ed|ing) !bot:shop-*,poet !kind:Bot* answered", NOW)
    assert (asked.pattern, asked.level) == ("answered", "info")
    wanted = passes(asked)
    assert wanted(noted("answered", tag="support", note="ConfigApplied"))
    assert wanted(noted("answered !", tag="shop", note=""))
    for text, tag, note, more in (
        ("polling", "support", "", ""), ("x", "support", "", "was polled"), ("x", "shop-1", "", ""), ("x", "poet", "", ""),
        ("x", "support", "BotReady", ""),
    ):  # fmt: skip
        assert not wanted(noted(text, tag=tag, note=note, more=more))
    assert narrow("what !", NOW).pattern == "what !"
    for wrong in ("!(", "!level:info", "!since:10m", "!by:anna"):
        with pytest.raises(BadRequest):
            narrow(wrong, NOW)


def noted(text: str, *, tag: str, note: str, more: str = "") -> Line:
    return Line(NOW, "info", tag, text, more, note)


def test_moments_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ago, a time of day (the last one), or a date and time."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()  # 2023-11-14 22:13:20
    assert moment("90s", NOW) == moment("-90s", NOW) == NOW - 90
    assert moment("22:13", NOW) == NOW - 20
    assert moment("22:14", NOW) == NOW + 40 - 86400
    assert moment("2023-11-14T22:13:20", NOW) == NOW
    for wrong in ("25:00", "yesterday", ""):
        with pytest.raises(BadRequest):
            moment(wrong, NOW)
