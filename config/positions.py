"""Where the keys of a TOML text stand: line and column of every key and value.

tomllib does the parsing; it tells values, not places. This scanner reads the same text for its places only.
It never raises: of a text that is no TOML it gives the places it could make out.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

KeyPath = tuple[str | int, ...]
"""Names of tables and keys, indexes of arrays, from the top of the file."""

MAX_DEPTH = 60
"""Brackets within brackets; what lies deeper gets the place of what holds it."""

_BLANK = re.compile(r"[ \t]*")
_VOID = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_VOID_OR_COMMA = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_LONG = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|\'\'\'(?:[^\']|\'(?!\'\'))*\'{3,5}', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]*")


class Spot(NamedTuple):
    """A place in a text; line and column count from 1, columns in characters."""

    line: int
    column: int


class Mark(NamedTuple):
    """Where one key and its value begin."""

    key: Spot
    value: Spot


TOP = Mark(Spot(1, 1), Spot(1, 1))


def positions(text: str) -> dict[KeyPath, Mark]:
    """Return the place of every key and value of a TOML text, tables and array items included.

    An item of an array has the place of its value for both. Never raises, whatever the text.
    """
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.marks()


def first_too_deep(text: str) -> Spot:
    """Return the place of the first bracket beyond MAX_DEPTH; the top of the text when there is none."""
    scanner = _Scanner(text)
    scanner.scan()
    return TOP.key if scanner.too_deep is None else scanner.spot_of(scanner.too_deep)


def nearest(marks: Mapping[KeyPath, Mark], path: KeyPath) -> Mark:
    """Return the mark of path, or of the nearest thing around it that has one."""
    for size in range(len(path), 0, -1):
        mark = marks.get(path[:size])
        if mark is not None:
            return mark
    return TOP


class _TooDeep(Exception):
    """Brackets within brackets beyond MAX_DEPTH."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.too_deep: int | None = None
        self.offsets: dict[KeyPath, tuple[int, int]] = {}
        self.counts: dict[KeyPath, int] = {}

    def marks(self) -> dict[KeyPath, Mark]:
        """Turn offsets into lines and columns."""
        ends = [match.start() for match in re.finditer("\n", self.text)]

        def spot(offset: int) -> Spot:
            line = bisect_left(ends, offset)
            return Spot(line + 1, offset - (ends[line - 1] + 1 if line else 0) + 1)

        return {path: Mark(spot(key), spot(value)) for path, (key, value) in self.offsets.items()}

    def spot_of(self, offset: int) -> Spot:
        """Turn one offset into line and column."""
        return Spot(self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset))

    def scan(self) -> None:
        """Read statement by statement; after one that makes no sense go on at the next line."""
        table: KeyPath = ()
        while self._skip(_VOID) < len(self.text):
            try:
                if self.text[self.at] == "[":
                    table = self._header()
                else:
                    self._pair(table)
            except _TooDeep:
                self.depth = 0
                self.too_deep = self.at if self.too_deep is None else self.too_deep
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end + 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _starts(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _mark(self, path: KeyPath, key: int, value: int) -> None:
        self.offsets.setdefault(path, (key, value))

    def _header(self) -> KeyPath:
        start = self.at
        several = self._starts("[[")
        self.at += 2 if several else 1
        parts = self._key()
        path: KeyPath = ()
        for index, (name, offset) in enumerate(parts):
            path = (*path, name)
            self._mark(path, offset, start)
            if several and index == len(parts) - 1:
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
                self._mark(path, offset, start)
        return path

    def _key(self) -> list[tuple[str, int]]:
        """Read a dotted key; returns its names with their offsets, none when there is no key."""
        parts: list[tuple[str, int]] = []
        while True:
            self._skip(_BLANK)
            start = self.at
            match = _BARE.match(self.text, start) or _QUOTED.match(self.text, start)
            if match is None:
                return parts
            self.at = match.end()
            parts.append((_name(match[0]), start))
            self._skip(_BLANK)
            if not self._starts("."):
                return parts
            self.at += 1

    def _pair(self, table: KeyPath) -> bool:
        """Read `key = value`; tells whether there was one."""
        parts = self._key()
        if not parts or not self._starts("="):
            return False
        self.at += 1
        self._skip(_BLANK)
        path = table
        for name, offset in parts:
            path = (*path, name)
            self._mark(path, offset, self.at)
        self._value(path)
        return True

    def _value(self, path: KeyPath) -> None:
        first = self.text[self.at : self.at + 1]
        if first in {'"', "'"}:
            long = self._starts(first * 3)
            before = self.at
            if self._skip(_LONG if long else _QUOTED) == before:
                # Never closed: there is nothing to be made out of the rest of the text or line.
                self.at = len(self.text) if long else self.at
        elif first in {"[", "{"}:
            self._nested(path, first)
        else:
            self._skip(_SCALAR)

    def _nested(self, path: KeyPath, first: str) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _TooDeep
        self.at += 1
        if first == "[":
            self._array(path)
        else:
            self._inline_table(path)
        self.depth -= 1

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._skip(_VOID_OR_COMMA) < len(self.text) and not self._starts("]"):
            before = self.at
            self._mark((*path, index), before, before)
            self._value((*path, index))
            index += 1
            if self.at == before:
                return
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        while self._skip(_VOID_OR_COMMA) < len(self.text) and not self._starts("}"):
            if not self._pair(path):
                return
        self.at += 1


def _name(raw: str) -> str:
    """Return the name a key part stands for."""
    if raw[0] == "'":
        return raw[1:-1]
    if raw[0] == '"' and "\\" in raw:
        try:
            return str(tomllib.loads(f"x = {raw}")["x"])
        except tomllib.TOMLDecodeError:
            return raw[1:-1]
    return raw.strip('"')
