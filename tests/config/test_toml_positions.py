"""Where keys stand: exact on what TOML allows, calm on everything else."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.positions import Mark, Spot, nearest, positions

SAMPLE = '''\
name = "x"
a.b . "c d" = [1, {z = 2, y.k = "#"}, """
multi ] line""", 4]
# comment [not.a.table]
[[t]]
k = 'a # b'
[t.sub]
q = 1979-05-27 07:32:00 # c
[[t]]
  k=2
["quo\\u0074ed".'x.y']
s = """a"""""
after = 1
'''


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return {path}.union(*(paths_of(v, (*path, k)) for k, v in value.items()))
    if isinstance(value, list):
        return {path}.union(*(paths_of(v, (*path, i)) for i, v in enumerate(value)))
    return {path}


def test_every_value_of_a_text_with_every_form_has_its_place() -> None:
    """Dotted, quoted, inline, arrays of tables and long strings: the paths are those tomllib gives."""
    assert positions(SAMPLE).keys() == paths_of(tomllib.loads(SAMPLE)) - {()}


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("name",), (1, 1), (1, 8)),
        (("a", "b", "c d"), (2, 7), (2, 15)),
        (("a", "b", "c d", 1, "y", "k"), (2, 29), (2, 33)),
        (("a", "b", "c d", 3), (3, 18), (3, 18)),
        (("t", 0, "sub", "q"), (8, 1), (8, 5)),
        (("t", 1, "k"), (10, 3), (10, 5)),
        (("quoted", "x.y", "s"), (12, 1), (12, 5)),
        (("quoted", "x.y", "after"), (13, 1), (13, 9)),
    ],
)
def test_line_and_column_count_from_one(
    path: tuple[str | int, ...], key: tuple[int, int], value: tuple[int, int]
) -> None:
    """Places are those an editor shows."""
    assert positions(SAMPLE)[path] == Mark(Spot(*key), Spot(*value))


def test_columns_count_characters_and_lines_survive_carriage_returns() -> None:
    """A text from Windows with letters beyond ASCII has the same places."""
    marks = positions("grüße = 1\r\n'ключ' = { ü = 1 }\r\nb = 2\r\n".replace("grüße", "'grüße'"))
    assert marks["b",].key == Spot(3, 1)
    assert marks["ключ",].value == Spot(2, 10)


def test_what_has_no_place_gets_that_of_what_is_around_it() -> None:
    """A key that is not there is looked for in its table, then at the top."""
    marks = positions("a = 1\n[b]\n")
    assert nearest(marks, ("b", "c", "d")).key == Spot(2, 2)
    assert nearest(marks, ("x",)).key == Spot(1, 1)


def test_brackets_without_end_cost_no_stack() -> None:
    """Ten thousand brackets do not overflow the stack, and what comes later is still found."""
    marks = positions("a = " + "[" * 10_000 + "\nb = 1\n")
    assert marks["b",].key == Spot(2, 1)


KEYS = st.one_of(st.text("abz_-09", min_size=1, max_size=4), st.text(max_size=4))
SCALARS = st.one_of(
    st.integers(-9, 9), st.booleans(), st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.booleans())
def test_positions_agree_with_tomllib_on_written_documents(data: dict[str, Any], multiline: bool) -> None:
    """Whatever tomli_w writes, every key and item tomllib reads has a place, and no other has."""
    import tomli_w

    text = tomli_w.dumps(data, multiline_strings=multiline)
    assert positions(text).keys() == paths_of(tomllib.loads(text)) - {()}


@given(st.text(alphabet="ab.=[]{}\"'#\\\n\r\t ,1-", max_size=60))
def test_no_text_upsets_the_scanner(text: str) -> None:
    """Any text gives places within it; of a text tomllib takes, at least every top key has one."""
    marks = positions(text)
    lines = text.split("\n")
    assert all(1 <= mark.key.line <= len(lines) for mark in marks.values())
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert {(name,) for name in data} <= marks.keys()
