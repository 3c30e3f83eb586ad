"""markdown-it's parser of blocks, with what answers of models need, and short cuts where most of its time went."""

from __future__ import annotations

from typing import Any, Final, Literal

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock

from workers.channels.markup.tables import table

MAX_DEPTH: Final = 80
"""Levels of lists and quotes, each list two; what markdown-it would leave out below is shown as it was written."""

_STARTS: Final = frozenset("#>-+*_`~|$\\=0123456789\t ")
"""What a line may begin with that is no plain text; or it has a | somewhere."""

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


def blocks_of(source: str) -> list[Block]:
    """Take Markdown apart into blocks; [] when they are nested too deeply for all of them to be there."""
    state: Any = _State(source, _PARSER, {}, [])
    _PARSER.block.tokenize(state, 0, state.lineMax)
    found: list[Block] = state.tokens
    return [] if any(block.level >= MAX_DEPTH - 2 for block in found) else found


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
    state.push("paragraph_open", "p", 1).map = [start_line, line]
    inline = state.push("inline", "", 0)
    inline.content = state.getLines(start_line, line, state.blkIndent, False).strip()
    inline.map = [start_line, line]
    state.push("paragraph_close", "p", -1)
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


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_DEPTH})
    ruler = parser.block.ruler
    # What they take away (definitions), or take for a heading (a line above dashes), is text here.
    ruler.disable(["html_block", "reference", "lheading"])
    ruler.before("fence", "columns", table, {"alt": ["paragraph", "reference"]})
    ruler.before("fence", "formula", _formula, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    ruler.before("code", "prose", _prose, {"alt": []})
    ruler.at("paragraph", _paragraph, {"alt": []})
    return parser


_PARSER: Final = _parser()
