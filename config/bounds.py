"""How deep and how large what a TOML file holds may be: whatever is within can be walked, printed and stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from config.positions import KeyPath

MAX_LEVELS: Final = 60
"""Tables and lists within each other, names joined by dots counted: everything that walks values calls itself."""
LARGEST_INT: Final = 2**63 - 1
"""What TOML promises, and what fits into the database."""


class Excess(NamedTuple):
    """The first thing beyond the bounds, and what to say about it."""

    path: KeyPath
    message: str
    hint: str


def excess(data: dict[str, Any]) -> Excess | None:
    """Return what in a file's values is too deep or too large; None when nothing is."""
    waiting: list[tuple[KeyPath, Any]] = [((), data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict | list):
            if len(path) > MAX_LEVELS:
                return Excess(path, TOO_DEEP, TOO_DEEP_HINT)
            waiting += [((*path, name), inner) for name, inner in _inner(value)]
        elif isinstance(value, int) and not -LARGEST_INT - 1 <= value <= LARGEST_INT:
            return Excess(path, "a whole number has more than 64 bits", "use a smaller one, or put it in quotes")
    return None


def _inner(value: dict[str, Any] | list[Any]) -> Iterable[tuple[str | int, Any]]:
    """Return what in a table or list has to be looked at."""
    items: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    return [item for item in items if isinstance(item[1], dict | list | int)]


TOO_DEEP: Final = "brackets or names joined by dots are nested too deeply"
TOO_DEEP_HINT: Final = f"nest at most {MAX_LEVELS} levels"
