"""markdown-it's parser of blocks, with what answers of models need, and short cuts where most of its time went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Literal

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, blockquote, fence, heading, hr, list_block

from workers.channels.markup.tables import table

MAX_DEPTH: Final = 80
"""Levels of lists and quotes, each list two; what markdown-it would leave out below is shown as it was written."""

_STARTS: Final = frozenset("#>-+*_`~|$\\=0123456789\t ")
"""What a line may begin with that is no plain text; or it has a | somewhere."""

_BEGINS: Final = {
    "formula": "$\\", "fence": "`~", "blockquote": ">", "hr": "*-_", "list": "*-+0123456789", "heading": "#",
}  # fmt: skip
"""What the first line of a block begins with; that of others with anything."""

_ENDERS: Final = {
    "list": ["formula", "fence", "blockquote", "hr"],
    "blockquote": ["formula", "fence", "blockquote", "hr", "list", "heading"],
    "paragraph": ["columns", "formula", "fence", "blockquote", "hr", "list", "heading"],
}
"""What ends a block without a blank line between."""

Rule = Callable[[StateBlock, int, int, bool], bool]
"""Reads a block that begins in a line: (state, line, the line it must end before, only tell whether there is one)."""

_FORMULA_END: Final = {"$$": "$$", "\\[": "\\]"}


class Block:
    """A token of markdown-it, but for what costs time and nobody asks for."""

    attrs: dict[str, Any]
    children: Any = None
    content = ""
    hidden = False
    info = ""
    map: list[int] | None = None
    markup = ""
    meta: Any = None

    def __init__(self, kind: str, nesting: int, level: int) -> None:
        self.type = kind
        self.nesting = nesting
        self.level = level


class _State(StateBlock):
    def push(self, ttype: str, tag: str, nesting: Literal[-1, 0, 1]) -> Any:
        """Add a token."""
        if nesting < 0:
            self.level -= 1
        token = Block(ttype, nesting, self.level)
        if nesting > 0:
            self.level += 1
        self.tokens.append(token)  # type: ignore[arg-type]
        return token


_LEVEL: Final[Callable[[Block], int]] = attrgetter("level")


def blocks_of(source: str) -> list[Block]:
    """Take Markdown apart into blocks; [] when they are nested too deeply for all of them to be there."""
    state: Any = _State(source, _PARSER, {}, [])
    _PARSER.block.tokenize(state, 0, state.lineMax)
    found: list[Block] = state.tokens
    return [] if max(map(_LEVEL, found), default=0) >= MAX_DEPTH - 2 else found


def _plain(state: StateBlock, line: int) -> bool:
    """Tell whether a line can be nothing but text."""
    begin = state.bMarks[line] + state.tShift[line]
    end = state.eMarks[line]
    return (
        begin < end
        and state.src[begin] not in _STARTS
        and state.sCount[line] - state.blkIndent < 4
        and state.src.find("|", begin, end) < 0
    )


def _prose(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Be the rule for text that begins with a letter, the commonest of all: no other rule is asked about it."""
    return _plain(state, start_line) and _paragraph(state, start_line, end_line, silent)


def _paragraph(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Be CommonMark's rule for paragraphs, which asks the others only about lines that could be theirs."""
    del silent
    end_line, enders = state.lineMax, state.md.block.ruler.getRules("paragraph")
    outer, state.parentType = state.parentType, "paragraph"
    line = start_line + 1
    while line < end_line and not state.isEmpty(line):
        # Text that goes on below a list or quote without its marks belongs to it, as does what is indented far.
        far = state.sCount[line] < 0 or state.sCount[line] - state.blkIndent > 3
        if not far and not _plain(state, line) and any(rule(state, line, end_line, True) for rule in enders):
            break
        line += 1
    state.line = line
    state.parentType = outer
    inline = state.push("inline", "", 0)  # without tokens around it, which nobody asks for
    inline.content = state.getLines(start_line, line, state.blkIndent, False).strip()
    inline.map = [start_line, line]
    return True


def _formula(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Be a rule for displayed formulas: lines from two dollars, or backslash and bracket, to their end, all as it is."""
    begin = state.bMarks[start_line] + state.tShift[start_line]
    closer = _FORMULA_END.get(state.src[begin : begin + 2])
    if closer is None or state.is_code_block(start_line):
        return False
    if state.src.find(closer, begin + 2, state.eMarks[start_line]) >= 0:
        return False
    for line in range(start_line + 1, end_line):
        if state.sCount[line] < state.blkIndent or state.isEmpty(line):
            return False
        if state.src.find(closer, state.bMarks[line], state.eMarks[line]) >= 0:
            if not silent:
                token = state.push("formula", "", 0)
                token.content = state.getLines(start_line, line + 1, state.blkIndent, False)
                token.map = [start_line, line + 1]
                state.line = line + 1
            return True
    return False


def _any_of(rules: Mapping[str, Rule], names: Sequence[str]) -> Rule:
    """Return one rule that stands for several: it asks only those that a line's first character may begin."""
    asked = {
        sign: [rules[name] for name in names if sign in _BEGINS.get(name, sign)] for sign in "".join(_BEGINS.values())
    }
    others = [rules[name] for name in names if name not in _BEGINS]

    def rule(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
        begin = state.bMarks[start_line] + state.tShift[start_line]
        for ask in asked.get(state.src[begin : begin + 1], others):  # noqa: SIM110 - a generator costs more than to ask
            if ask(state, start_line, end_line, silent):
                return True
        return False

    return rule


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_DEPTH})
    ruler = parser.block.ruler
    rules: dict[str, Rule] = {
        "columns": table, "formula": _formula, "fence": fence, "blockquote": blockquote, "hr": hr, "list": list_block,
        "heading": heading, "paragraph": _paragraph,
    }  # fmt: skip
    # Not among them is what takes text away (definitions), or takes a line above dashes for a heading.
    ruler.enableOnly(["code"])
    ruler.before("code", "prose", _prose, {"alt": []})
    ruler.push("any", _any_of(rules, [*rules]), {"alt": []})
    # A paragraph is always found: those that follow only say where a block ends.
    for block, enders in _ENDERS.items():
        ruler.push(f"after {block}", _any_of(rules, enders), {"alt": [block]})
    return parser


_PARSER: Final = _parser()
