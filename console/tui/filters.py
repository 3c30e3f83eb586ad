"""The filter of the fleet list: words that must all hold.

A word is a regular expression looked for in a bot's id, name, username and phase, whatever the case; one that is not
(yet) a valid expression is taken as plain text. `!word` turns it round. `phase:back` asks for the phase, `cond:thr` for
a condition that is amiss, `is:marked`, `is:trouble`, `is:paused` for what their names say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from console.judgement import falls_short, troubles

if TYPE_CHECKING:
    from console.control import LiveRow

Test = Callable[["LiveRow", Collection[str]], bool]
"""Tells whether a row passes; the second argument are the marked bots."""

FACTS: Final[dict[str, Test]] = {
    "marked": lambda row, marks: row["bot_id"] in marks,
    "trouble": lambda row, _marks: falls_short(row) or bool(troubles(row)),
    "paused": lambda row, _marks: row["paused"],
}


class Filter:
    """A filter as typed; `text` is empty for the one everything passes."""

    def __init__(self, text: str = "") -> None:
        self.text = text.strip()
        self._tests = [_test(word) for word in self.text.split()]

    def __bool__(self) -> bool:
        return bool(self._tests)

    def passes(self, row: LiveRow, marks: Collection[str]) -> bool:
        """Tell whether a bot is to be shown."""
        return all(test(row, marks) for test in self._tests)


def _test(word: str) -> Test:
    if word.startswith("!") and len(word) > 1:
        inner = _test(word[1:])
        return lambda row, marks: not inner(row, marks)
    name, colon, value = word.partition(":")
    if colon and name == "phase":
        return lambda row, _marks: row["phase"].startswith(value.lower())
    if colon and name == "cond":
        return lambda row, _marks: any(_condition(trouble).startswith(value.lower()) for trouble in troubles(row))
    if colon and name == "is":
        return next(
            (test for fact, test in FACTS.items() if fact.startswith(value.lower())), lambda _row, _marks: False
        )
    return _search(word)


def _condition(trouble: str) -> str:
    return trouble.removeprefix("not ").partition(":")[0]


def _search(word: str) -> Test:
    try:
        pattern = re.compile(word, re.IGNORECASE | re.MULTILINE)
    except re.error:
        pattern = re.compile(re.escape(word), re.IGNORECASE)
    return lambda row, _marks: pattern.search(searched(row)) is not None


def searched(row: LiveRow) -> str:
    """Return what a plain word is looked for in."""
    username = (row["telegram"] or {}).get("username") or ""
    return f"{row['bot_id']}\n{row['name']}\n@{username}\n{row['phase']}"
