"""Tables: read from Markdown, set in columns as wide as they look, or as lists where a phone has no room."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from markdown_it.rules_block import StateBlock

MAX_WIDTH: Final = 48
"""Columns of a monospaced line before it is broken on a phone."""

_RULE: Final = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_EDGE: Final = re.compile(r"(?<!\\)\|")


class Table(NamedTuple):
    """The cells of a table as Markdown, the head first; sides says "<", ">" or "^" of each column."""

    rows: list[list[str]]
    sides: list[str]


def table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Be markdown-it's rule for tables. Unlike its own it keeps cells beyond the head's, and ends at a line without |."""
    if start_line + 2 > end_line or state.sCount[start_line + 1] < state.blkIndent:
        return False
    if state.is_code_block(start_line) or state.is_code_block(start_line + 1):
        return False
    rule, head = _line(state, start_line + 1), _line(state, start_line)
    if "-" not in rule or "|" not in head or _RULE.fullmatch(rule) is None:
        return False
    sides, cells = [_side(mark) for mark in _cells(rule)], _cells(head)
    if len(sides) != len(cells):
        return False
    if silent:
        return True
    rows, line = [cells], start_line + 2
    while line < end_line and _goes_on(state, line, end_line):
        rows.append(_cells(_line(state, line)))
        line += 1
    token = state.push("table", "", 0)
    token.map = [start_line, line]
    token.meta = {"table": Table(rows, sides)}
    state.line = line
    return True


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _goes_on(state: StateBlock, line: int, end_line: int) -> bool:
    if state.sCount[line] < state.blkIndent or state.is_code_block(line) or "|" not in _line(state, line):
        return False
    return not any(rule(state, line, end_line, True) for rule in state.md.block.ruler.getRules("blockquote"))


def _cells(line: str) -> list[str]:
    cells = [cell.replace("\\|", "|").strip() for cell in _EDGE.split(line.strip())]
    if len(cells) > 1 and not cells[0]:
        del cells[0]
    if len(cells) > 1 and not cells[-1]:
        del cells[-1]
    return cells


def _side(mark: str) -> str:
    if mark.endswith(":"):
        return "^" if mark.startswith(":") else ">"
    return "<"


def width(text: str) -> int:
    """Return how many columns a text takes where every character takes one: wide ones two, marks none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def columns(rows: list[list[str]], sides: list[str]) -> list[str] | None:
    """Return the lines of a table in columns, a rule below the head; None when they are wider than MAX_WIDTH."""
    count = max(map(len, rows))
    full = [row + [""] * (count - len(row)) for row in rows]
    sizes = [max(width(row[column]) for row in full) for column in range(count)]
    if sum(sizes) + 3 * (count - 1) > MAX_WIDTH:
        return None
    sides = sides + ["<"] * (count - len(sides))
    lines = [" │ ".join(map(_filled, row, sizes, sides)).rstrip() for row in full]
    return [lines[0], "─┼─".join("─" * size for size in sizes), *lines[1:]]


def _filled(text: str, size: int, side: str) -> str:
    room = size - width(text)
    before = room if side == ">" else room // 2 if side == "^" else 0
    return " " * before + text + " " * (room - before)
