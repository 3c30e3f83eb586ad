"""Merging layers keeps its laws, and forgets no origin."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from config.explain import leaves
from config.merge import find, holds, merge, put

TABLES = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


@given(TABLES, TABLES, TABLES)
def test_merging_is_associative_for_tables_of_one_shape(a: Any, b: Any, c: Any) -> None:
    """In whatever order neighbours are merged, the result is the same, unless a layer turns a table into a value."""
    if _turned(a, b) or _turned(b, c) or _turned(a, c):
        return
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(TABLES)
def test_an_empty_layer_changes_nothing(a: Any) -> None:
    """{} is neutral on both sides, and a layer over itself is itself."""
    assert merge(a, {}) == merge({}, a) == merge(a, a) == a


@given(TABLES, TABLES)
def test_the_upper_layer_always_wins_and_neither_is_changed(a: Any, b: Any) -> None:
    """Every leaf of the upper layer is in the result; every other leaf is the lower one's."""
    before = repr((a, b))
    made = merge(a, b)
    assert repr((a, b)) == before
    for path, value in leaves(b):
        if value != {}:
            assert find(made, path) == value
    for path, value in leaves(made):
        assert find(b, path, value) in (value, {}) or holds(b, path)
        assert holds(a, path) or holds(b, path)


@given(TABLES, st.lists(st.sampled_from("abc"), min_size=1, max_size=3), st.integers(4, 5))
def test_what_is_put_is_found(a: Any, path: list[str], value: int) -> None:
    """put and find agree; None takes the key out again."""
    changed = put(a, tuple(path), value)
    assert find(changed, tuple(path)) == value
    assert not holds(put(changed, tuple(path), None), tuple(path))


def _turned(a: Any, b: Any) -> bool:
    """Tell whether one has a value where the other has a table."""
    return any(
        isinstance(a[key], dict) != isinstance(b[key], dict) or (isinstance(a[key], dict) and _turned(a[key], b[key]))
        for key in a.keys() & b.keys()
    )
