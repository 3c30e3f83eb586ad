"""Blocks of Markdown (paragraphs, lists, quotes, code, tables) laid out as the text of a message."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import ClassVar, Final

from workers.channels.markup.inline import Line
from workers.channels.markup.parsing import Block, blocks_of
from workers.channels.markup.sheet import Sheet, Span, settled
from workers.channels.markup.tables import columns
from workers.channels.markup.tracing import Trace

RULE: Final = "─" * 10
LONG_QUOTE: Final = 600
"""Characters of a quote that is folded away."""

BULLETS: Final = "•◦▪"
_LANGUAGE: Final = re.compile(r"[\w+#.-]{1,32}")


def sheet_of(source: str) -> Sheet | None:
    """Lay out Markdown (line ends are newlines); None when there is no block in it, or too many in each other."""
    blocks = blocks_of(source)
    return _Layout(source, blocks).sheet() if blocks else None


class _Layout:
    """One walk over the blocks of an answer."""

    __slots__ = (
        "_blocks", "_end", "_held", "_indent", "_items", "_levels", "_lines", "_marker", "_pieces", "_quote", "_quotes",
        "_size", "_spans", "_together", "_tokens", "_trace",
    )  # fmt: skip

    def __init__(self, source: str, tokens: list[Block]) -> None:
        self._tokens = tokens
        self._end = next((number for number in reversed(range(len(tokens))) if tokens[number].nesting == 0), -1)
        self._lines = source.split("\n")
        self._trace = Trace(source, self._lines)
        self._pieces: list[str] = []
        self._size = 0
        self._spans: list[Span] = []
        self._blocks: list[int] = []
        self._items: list[int] = []
        self._indent = ""
        self._levels: list[str] = []
        self._marker = ""
        self._held = False
        self._together = False
        self._quotes = 0
        self._quote = -1

    def sheet(self) -> Sheet:
        """Walk, and return what there is then."""
        for number, token in enumerate(self._tokens):
            step = self._STEPS.get(token.type)
            if step is not None:
                step(self, number, token)
        return Sheet("".join(self._pieces), settled(self._spans), self._blocks, self._items, self._trace)

    def _put(self, text: str, line: int = -1) -> None:
        if line >= 0:
            self._trace.note(self._size, line)
        self._pieces.append(text)
        self._size += len(text)

    # --- between blocks ----------------------------------------------------------------------------------------

    def _begin(self, token: Block, *, whole: bool = False) -> None:
        """Begin a block: as far from the one before as it was, behind its bullet. whole: it needs a line of its own."""
        line = token.map[0] if token.map else 0
        if not self._held:
            self._gap(line)
        self._held = self._together = False
        if self._marker:
            self._marker = f"{self._marker.rstrip()}\n" if whole else self._marker
            self._flush_marker()
        elif not whole:
            self._put(self._indent)
        if self._quotes and self._quote < 0:
            self._quote = self._size

    def _gap(self, line: int) -> None:
        if not self._size:
            return
        if not self._together:
            (self._items if self._levels else self._blocks).append(self._size)
        apart = line > 0 and not self._lines[line - 1].strip(" \t>")
        self._put("\n\n" if apart else "\n")

    def _flush_marker(self) -> None:
        if self._marker:
            self._put(self._marker)
            self._marker = ""

    def _item(self, _number: int, token: Block) -> None:
        if not self._marker:
            self._gap(token.map[0] if token.map else 0)
            self._marker = self._indent
        self._held = True
        self._levels.append(self._indent)
        depth = len(self._levels) - self._quotes - 1
        sign = f"{token.info}{token.markup}" if token.info else BULLETS[depth % len(BULLETS)]
        self._marker += sign + " "
        self._indent += "  "

    def _end_item(self, _number: int, _token: Block) -> None:
        self._flush_marker()
        self._held = False
        self._indent = self._levels.pop()

    def _rule(self, _number: int, token: Block) -> None:
        self._begin(token)
        self._put(RULE, _first(token))

    def _open_quote(self, _number: int, token: Block) -> None:
        if self._marker:
            self._begin(token, whole=True)
            self._held = True
        self._quotes += 1
        self._levels.append(self._indent)
        self._indent = ""

    def _close_quote(self, _number: int, _token: Block) -> None:
        self._quotes -= 1
        self._indent = self._levels.pop()
        if self._quotes == 0 and self._quote >= 0:
            long = self._size - self._quote > LONG_QUOTE
            self._spans.append(Span(self._quote, self._size, "expandable_blockquote" if long else "blockquote"))
            self._quote = -1

    # --- blocks ------------------------------------------------------------------------------------------------

    def _inline(self, number: int, token: Block) -> None:
        text = token.content
        if not text:
            return
        if self._marker and text[1:4] in _BOXES and text[0] == "[":
            self._marker += _BOXES[text[1:4]]
            text = text[4:]
        self._begin(token)
        line, at = Line(text, self._indent), self._size
        line.read(cut_off=number == self._end)
        self._lay(line, text, _first(token))
        if self._tokens[number - 1].type == "heading_open":
            self._spans.append(Span(at, self._size, "bold"))
            self._together = True

    def _lay(self, line: Line, text: str, first: int) -> None:
        laid, spans, starts = line.laid(self._size)
        self._spans += spans
        self._trace.follow(starts, line.places, text, first)
        self._pieces.append(laid)
        self._size += len(laid)

    def _code(self, _number: int, token: Block) -> None:
        words = token.info.strip().split(maxsplit=1) if token.type == "fence" else []
        language = words[0] if words and _LANGUAGE.fullmatch(words[0]) else ""
        aside = " ".join(words[1:] if language else words)
        content = token.content.expandtabs(4).rstrip()
        if not content:
            aside = token.markup + token.info if words else ""
        if aside:
            self._begin(token)
            self._put(aside, _first(token))
        if content:
            if aside:
                self._put("\n")
                self._held = True
            self._pre(token, content.split("\n"), language, _first(token) + (token.type == "fence"))

    def _pre(self, token: Block, lines: list[str], language: str, first: int) -> None:
        self._begin(token, whole=True)
        at = self._size
        for number, line in enumerate(lines):
            if number:
                self._put("\n")
            self._put(line, first + number)
        self._spans.append(Span(at, self._size, "pre", language))

    def _literal(self, _number: int, token: Block) -> None:
        self._begin(token)
        for number, line in enumerate(token.content.split("\n")):
            if number:
                self._put("\n" + self._indent)
            self._put(line.strip(), _first(token) + number)

    def _table(self, _number: int, token: Block) -> None:
        rows, sides = token.meta["table"]
        read = [[_cell(cell, self._indent) for cell in row] for row in rows]
        lines = None
        if not any(cell.links for row in read for cell in row):
            lines = columns([["".join(cell.nodes) for cell in row] for row in read], sides)
        if lines is None:
            self._begin(token)
            self._rows(rows, _first(token))
        else:
            self._pre(token, lines, "", _first(token))

    def _rows(self, rows: list[list[str]], first: int) -> None:
        """Show a table that is too wide row by row, each cell behind the head of its column."""
        head, *body = rows
        if not body:
            head, body = [], [head]
        for number, row in enumerate(body):
            line = first + number + 2 * bool(head)
            if number:
                self._items.append(self._size)
                self._put("\n")
            for column, (name, cell) in enumerate(zip_longest(head, row, fillvalue="")):
                if number or column:
                    self._put("\n" + self._indent)
                self._pair(name, cell, line)

    def _pair(self, name: str, cell: str, line: int) -> None:
        if name:
            at = self._size
            self._lay(_cell(name, self._indent), name, line)
            self._spans.append(Span(at, self._size, "bold"))
            self._put(": ")
        self._lay(_cell(cell, self._indent), cell, line)

    _STEPS: ClassVar = {
        "inline": _inline,
        "fence": _code,
        "code_block": _code,
        "table": _table,
        "formula": _literal,
        "hr": _rule,
        "list_item_open": _item,
        "list_item_close": _end_item,
        "blockquote_open": _open_quote,
        "blockquote_close": _close_quote,
    }


def _first(token: Block) -> int:
    return token.map[0] if token.map else 0


_BOXES: Final = {" ] ": "☐ ", "x] ": "☑ ", "X] ": "☑ "}


def _cell(text: str, indent: str) -> Line:
    line = Line(text, indent)
    line.read()
    return line
