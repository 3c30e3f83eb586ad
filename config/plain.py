"""What a program hands over as a configuration, made plain: tables, lists, texts, numbers, truths, nothing else.

A file cannot hold a circle, an object or a number of a million digits; a mapping can. What is refused here has a path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final, NamedTuple

from config.bounds import LARGEST_INT, MAX_LEVELS, TOO_DEEP_HINT
from config.files import MAX_BYTES
from config.positions import KeyPath
from config.vocabulary import Secret

MAX_VALUES: Final = 20_000
"""Values one mapping may hold: shared parts, each within the next, could multiply without end."""

ALLOWED: Final = "a mapping, a list, a text, a number, true or false"


class Oddity(NamedTuple):
    """Something no configuration can hold: where, what is wrong with it, what to do."""

    path: KeyPath
    message: str
    hint: str = ""


class TooMuch(Exception):
    """There is more than is looked at."""


class Plain:
    """One pass over a mapping; `oddities` is all that is wrong with it."""

    def __init__(self) -> None:
        self.oddities: list[Oddity] = []
        self._values = 0
        self._characters = 0

    def table(self, mapping: object) -> dict[str, Any]:
        """Return a mapping as plain values of its own; what cannot be is left out and told. Never raises."""
        if not isinstance(mapping, Mapping):
            self._odd((), f"found {_kind(mapping)}; allowed: a mapping")
            return {}
        try:
            return self._table(mapping, ())
        except TooMuch:
            self._odd((), f"holds more than {MAX_VALUES} values or {MAX_BYTES // 1024} KiB of text", "shorten it")
            return {}

    def _table(self, mapping: Mapping[Any, Any], path: KeyPath) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name, value in mapping.items():
            if not isinstance(name, str):
                self._odd(path, f"a key is {_kind(name)}; allowed: a text", "put it in quotes")
                continue
            if self._text(name, (*path, name)) is not None:
                table[name] = self._value(value, (*path, name))
        return table

    def _value(self, value: Any, path: KeyPath) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise TooMuch
        match value:
            case None | bool():
                return value
            case float():
                return self._number(value, path)
            case str() | Secret():
                return self._text(value.reveal() if isinstance(value, Secret) else value, path)
            case int():
                return self._whole(value, path)
            case Mapping() | list() | tuple():
                return self._inner(value, path)
        self._odd(path, f"found {_kind(value)}; allowed: {ALLOWED}")
        return None

    def _inner(self, value: Mapping[Any, Any] | Sequence[Any], path: KeyPath) -> Any:
        if len(path) > MAX_LEVELS:
            self._odd(path, "tables and lists are nested too deeply, or within themselves", TOO_DEEP_HINT)
            return None
        if isinstance(value, Mapping):
            return self._table(value, path)
        return [self._value(part, (*path, index)) for index, part in enumerate(value)]

    def _text(self, text: str, path: KeyPath) -> str | None:
        self._characters += len(text)
        if self._characters > MAX_BYTES:
            raise TooMuch
        try:
            text.encode()
        except UnicodeEncodeError:
            self._odd(path, "holds a character that is none", "take it out")
            return None
        return str(text)

    def _number(self, number: float, path: KeyPath) -> float | None:
        if isfinite(number):
            return float(number)
        self._odd(path, "inf and nan are no numbers of a configuration")
        return None

    def _whole(self, number: int, path: KeyPath) -> int | None:
        if -LARGEST_INT - 1 <= number <= LARGEST_INT:
            return int(number)
        self._odd(path, "a whole number has more than 64 bits", "use a smaller one, or put it in quotes")
        return None

    def _odd(self, path: KeyPath, message: str, hint: str = "") -> None:
        self.oddities.append(Oddity(path, message, hint))


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"
