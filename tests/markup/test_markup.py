"""Markdown of models as people see it: what each kind becomes, and that nothing nasty breaks or loses anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.markup.documents import ODD, SIGNS, Author
from tests.markup.judging import judge, lost
from tests.markup.rules import faults_of, units
from workers.channels.markup import render

ROOT = Path(__file__).resolve().parents[2]
LIMITS = st.sampled_from([20, 64, 200, 4096])
SOUP = st.lists(
    st.sampled_from(
        [*SIGNS, *ODD, " ", "\n", "\n\n", "word", "😀", "x" * 50, "- a", "> q", "```py\n", "| a | b |\n|--|--|\n"]
    )
).map("".join)
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=300)


def seen(text: str, limit: int = 4096) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each part's text, and what of it is something."""
    found = []
    for part in render(text, limit=limit):
        wire = part.text.encode("utf-16-le")

        def piece(entity: dict[str, Any], wire: bytes = wire) -> str:
            return wire[entity["offset"] * 2 : (entity["offset"] + entity["length"]) * 2].decode("utf-16-le")

        found.append((part.text, [(entity["type"], piece(entity)) for entity in part.entities]))
    return found


@pytest.mark.parametrize("seed", range(0, 240, 8))
def test_nasty_documents_become_parts_the_server_takes_and_lose_no_word(seed: int) -> None:
    """A short run of `python -m tests.markup`: every part valid by Telegram's rules, every word there, in its order."""
    for number in range(seed, seed + 8):
        source = Author(number).document()
        assert [judge(source, limit) for limit in (4096, 200)] == [[], []], f"seed {number}"


@given(SOUP | ANYTHING, LIMITS)
@example("**", 20)
@example("[](https://e.org)", 20)
@example("> " * 200 + "deep", 4096)
@example("- " * 200 + "deep", 4096)
@example("[" * 500 + "](" * 500, 4096)
@example("*a _b " * 300, 200)
@example("`" * 300, 20)
@example("\r", 20)
@example("```\n\n```", 20)
@example("\u030a", 20)
def test_whatever_comes_becomes_parts_the_server_takes(text: str, limit: int) -> None:
    """No text raises, and each part is one the server shows as it is."""
    parts = render(text, limit=limit)
    assert parts
    for part in parts:
        assert faults_of(part.text, part.entities, limit) == []
        assert units(part.plain) <= limit


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("a **b *c*** d", "a b c d", [("bold", "b c"), ("italic", "c")]),
        ("__b__ _i_ ~~s~~ ||p|| ++u++", "b i s p u", [("bold", "b"), ("italic", "i"), ("strikethrough", "s"),
                                                       ("spoiler", "p"), ("underline", "u")]),
        ("**b `c` d**", "b c d", [("bold", "b"), ("code", "c"), ("bold", "d")]),
        ("snake_case_name and 2*3*4, a || b, C++", "snake_case_name and 2*3*4, a || b, C++", []),
        ("**「重要」**です **हिन्दी**", "「重要」です हिन्दी", [("bold", "「重要」"), ("bold", "हिन्दी")]),
        ("😀 **b**", "😀 b", [("bold", "b")]),
        ("# Title\n\ntext", "Title\n\ntext", [("bold", "Title")]),
        ("- a\n  - b\n    1. c\n- [x] d\n- [ ] e", "• a\n  ◦ b\n    1. c\n• ☑ d\n• ☐ e", []),
        ("3. c\n4. d", "3. c\n4. d", []),
        ("> a\n> b\n\nc", "a\nb\n\nc", [("blockquote", "a\nb")]),
        ("> " + "a" * 700, "a" * 700, [("expandable_blockquote", "a" * 700)]),
        ("```py\na\n\tb\n```\nc", "a\n    b\nc", [("pre", "a\n    b")]),
        ("text:\n```\nunclosed", "text:\nunclosed", [("pre", "unclosed")]),
        ("an **unclosed bold", "an unclosed bold", [("bold", "unclosed bold")]),
        ("an unclosed [link](https://e.o", "an unclosed [link](https://e.o", []),
        ("and then **", "and then **", []),
        ("[a](https://e.org/x_(y)) [b](javascript:x)", "a [b](javascript:x)", [("text_link", "a")]),
        ("[a](http://localhost/x) [b](mailto:c@d.org)", "[a](http://localhost/x) b (c@d.org)", []),
        ('[a](https://e.org "title")', "a (title)", [("text_link", "a")]),
        ("![pic](https://e.org/p.png)", "pic", [("text_link", "pic")]),
        ("<https://e.org/a_b_c> https://e.org/_d_.", "https://e.org/a_b_c https://e.org/_d_.", []),
        ("<b>x</b> &amp; 1 < 2", "<b>x</b> &amp; 1 < 2", []),
        ("\\(a_b*c*\\) $x_1*y_2*$ \\*no\\*", "\\(a_b*c*\\) $x_1*y_2*$ *no*", []),
        ("$$\na_b\n- c\n$$", "$$\na_b\n- c\n$$", []),
        ("a[^1]\n\n[^1]: note", "a[^1]\n\n[^1]: note", []),
        ("a\n\n---\n\nb", "a\n\n──────────\n\nb", []),
        ("|a|b|\n|--|-:|\n|**x**|1|\n|日|22|", "a  │  b\n───┼───\nx  │  1\n日 │ 22",
         [("pre", "a  │  b\n───┼───\nx  │  1\n日 │ 22")]),
        (f"|a|b|\n|-|-|\n|x|{'y' * 60}|", f"a: x\nb: {'y' * 60}", [("bold", "a"), ("bold", "b")]),
        ("|a|\n|-|\n|[x](https://e.org)|", "a: x", [("bold", "a"), ("text_link", "x")]),
    ],
)  # fmt: skip
def test_what_each_kind_of_markdown_becomes(source: str, text: str, entities: list[tuple[str, str]]) -> None:
    """One line a kind, what is cut off and what only looks like Markdown included."""
    assert seen(source) == [(text, entities)]


def test_the_language_of_code_and_the_address_of_a_link_are_kept() -> None:
    """They are no text, so they go into the entity."""
    (part,) = render("```c++ title=x\ncode\n```\n[a](https://пример.рф/б)")
    assert part.text == "title=x\ncode\na"
    assert [(entity["type"], entity.get("language"), entity.get("url")) for entity in part.entities] == [
        ("pre", "c++", None),
        ("text_link", None, "https://xn--e1afmkfd.xn--p1ai/б"),
    ]


def test_code_and_styles_go_on_in_the_next_part() -> None:
    """A cut within code falls between its lines, and both parts are code; so with bold and a quote."""
    code = "\n".join(f"line {number}" for number in range(8))
    assert seen(f"```py\n{code}\n```", 40) == [
        ("line 0\nline 1\nline 2\nline 3\nline 4", [("pre", "line 0\nline 1\nline 2\nline 3\nline 4")]),
        ("line 5\nline 6\nline 7", [("pre", "line 5\nline 6\nline 7")]),
    ]
    assert seen("> **" + "word " * 8 + "end**", 23) == [
        ("word word word word", [("blockquote", "word word word word"), ("bold", "word word word word")]),
        ("word word word word end", [("blockquote", "word word word word end"), ("bold", "word word word word end")]),
    ]


def test_parts_end_at_the_borders_of_blocks_and_never_in_a_link() -> None:
    """A heading stays with its text; a link is moved to the next part as a whole."""
    parts = seen("first paragraph is here\n\n## Head\n\nsecond paragraph", 40)
    assert [text for text, _ in parts] == ["first paragraph is here", "Head\n\nsecond paragraph"]
    parts = seen("some words before [a link of many words](https://e.org) after", 30)
    assert [text for text, _ in parts] == ["some words before", "a link of many words after"]


def test_a_part_has_at_most_a_hundred_entities() -> None:
    """Telegram shows no more than a hundred; the rest goes into another part."""
    parts = render(" ".join(f"**w{number}x**" for number in range(250)))
    assert [len(part.entities) for part in parts] == [100, 100, 50]
    assert lost(" ".join(f"w{number}x" for number in range(250)), parts) == []


@pytest.mark.parametrize("seed", range(12))
def test_the_markdown_of_all_parts_is_the_whole_answer(seed: int) -> None:
    """What stands in for refused formatting is the piece the part was made of: all pieces hold every word once."""
    author = Author(seed)
    source = "\n\n".join(author.block(0).replace("\t", " ") for _ in range(8))
    parts = render(source, limit=400)
    words = " ".join(part.plain or part.text for part in parts)
    if all(part.plain for part in parts):
        assert "".join(words.split()) == "".join(source.split())
    for part in parts:
        known = set(part.text.split()) & set(part.plain.split())
        assert known or not part.plain


def test_a_short_plain_answer_loads_no_parser() -> None:
    """markdown-it comes with the first Markdown there is, not before."""
    code = (
        "import sys\nfrom workers.channels.markup import render\nrender('Plain, and short.')\n"
        "assert 'markdown_it' not in sys.modules\nrender('**bold**')\nassert 'markdown_it' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("text", ["One.", "two\nlines", "a - b, 1.5 + 2 = 3.5", "x > y", "it's 5 o'clock!"])
def test_text_without_markdown_is_left_as_it_is(text: str) -> None:
    """The short cut gives what the long way gives."""
    assert seen(text) == [(text, [])]
    assert render(text)[0].plain == ""
