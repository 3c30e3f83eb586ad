"""Answers cut into parts."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.channels.split import EMPTY, split, utf16_length

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=400)
PROSE = st.lists(
    st.sampled_from(["word", "Bär", "😀", "👩‍👩‍👧", "🇩🇪", "e\u0301", "end.", "\n", "\n\n", " ", "  ", "。", "x" * 30])
).map("".join)
LIMITS = st.integers(min_value=2, max_value=60)


def words(text: str) -> str:
    return re.sub(r"[\s\u200d]", "", text.strip())


@given(ANYTHING | PROSE, LIMITS)
@example("\ud83d", 2)
@example("😀" * 10, 3)
@example(" " * 50 + "a" + " " * 50, 10)
def test_every_part_is_within_the_limit_not_empty_and_can_be_encoded(text: str, limit: int) -> None:
    """Whatever a model writes, each part is one the server takes and the wire can carry."""
    parts = split(text, limit)
    assert parts
    for part in parts:
        assert part.strip() == part
        assert part
        assert utf16_length(part) <= limit
        json.dumps(part, ensure_ascii=False).encode()


@given(PROSE, LIMITS)
def test_no_word_is_lost_and_order_is_kept(text: str, limit: int) -> None:
    """Only white space disappears between parts."""
    if words(text):
        assert words("".join(split(text, limit))) == words(text)


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zs", "Zl", "Zp")), min_size=1, max_size=300), LIMITS
)
def test_no_character_is_lost_of_any_script(text: str, limit: int) -> None:
    """Text of visible characters comes out whole, even where no border is near."""
    if set(text) - set("\u2800\ufffc"):
        assert words("".join(split(text, limit))).replace("\u2800", "").replace("\ufffc", "") == words(text).replace(
            "\u2800", ""
        ).replace("\ufffc", "")


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("one two three\n\nfour five six", 20, ["one two three", "four five six"]),
        ("one two three\nfour five six", 20, ["one two three", "four five six"]),
        ("One two three. Four five six", 20, ["One two three.", "Four five six"]),
        ("One two “three.” Four five six", 20, ["One two “three.”", "Four five six"]),
        ("one two three four five six", 14, ["one two three", "four five six"]),
        ("a\n\nbcdef ghi jkl mno", 12, ["a\n\nbcdef ghi", "jkl mno"]),
        ("12345678901234567890", 8, ["12345678", "90123456", "7890"]),
        ("3.14159 is near 22/7 ok", 12, ["3.14159 is", "near 22/7 ok"]),
        ("一二三四。五六七八。九", 6, ["一二三四。", "五六七八。九"]),
        ("one two", 7, ["one two"]),
        ("exactly12 next", 9, ["exactly12", "next"]),
    ],
)
def test_the_nicest_border_that_leaves_a_full_part_is_taken(text: str, limit: int, parts: list[str]) -> None:
    """Paragraph before line before sentence before word, unless the part were more than half empty."""
    assert split(text, limit) == parts


@pytest.mark.parametrize(
    ("cluster", "limit"),
    [("👩‍👩‍👧", 12), ("🇩🇪", 6), ("e\u0301", 3), ("👍🏽", 6), ("\u1112\u1161\u11ab", 7), ("❤️", 3)],
)
def test_what_is_seen_as_one_character_stays_whole(cluster: str, limit: int) -> None:
    """A family, a flag, an accent, a skin tone and a syllable are never cut when a part can hold them."""
    for shift in range(limit):
        parts = split("x" * shift + cluster * 9, limit)
        assert "".join(parts) == "x" * shift + cluster * 9
        assert all(part.lstrip("x").replace(cluster, "") == "" for part in parts)


@pytest.mark.parametrize("text", ["", " ", "\n\n\t", "\u200b\u200d", "\u2800", "\x01", "\u00a0" * 5000])
def test_an_answer_with_nothing_to_see_still_says_something(text: str) -> None:
    """The server refuses empty messages; the person gets a sign instead of silence."""
    assert split(text) == [EMPTY]


def test_surrogates_and_nul_become_what_every_encoder_takes() -> None:
    """A broken model answer cannot break the wire; halves that belong together are joined."""
    assert split("a\ud83d b\0c \ud83d\ude00") == ["a\ufffd b\ufffdc 😀"]


def test_the_limit_is_telegrams_in_utf_16_units() -> None:
    """2,048 emoji fit, one more does not; 4,096 letters fit, one more does not."""
    assert [len(part) for part in split("😀" * 2048)] == [2048]
    assert [len(part) for part in split("😀" * 2049)] == [2048, 1]
    assert [len(part) for part in split("é" * 4096)] == [4096]
    assert [len(part) for part in split("é" * 4097)] == [4096, 1]
