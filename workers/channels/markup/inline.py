"""What is within a line: styles, code, links, and all that only looks like them and is left as it is."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import ClassVar, Final

from workers.channels.markup.emphasis import Mark, flanks, pair
from workers.channels.markup.links import address, mail
from workers.channels.markup.sheet import Span

_SIGN: Final = re.compile(r"[\\`*_~|+!\[<$\n]")
_SIGN_OR_ADDRESS: Final = re.compile(r"\\|`|\*|_|~|\||\+|!|\[|<|\$|\n|https?://[^\s<>\x00-\x20]+")
# Not a class of signs beside an address: only of single characters the first one of a match is looked for at full speed.
_RUNS: Final = frozenset("`*_~|+")
_ESCAPED: Final = frozenset("\\`*_{}[]()<>#+-.!|~$\"'&/:;=?@^,%")
_TEX_ESCAPED: Final = frozenset("{},;:!%&")
"""In formulas a backslash before these says something: there it stays."""
_DOUBLE: Final = frozenset("~|+")
_ANGLE: Final = re.compile(r"<(?:(https?://[^\s<>]+|mailto:[^\s<>]+|[\w.+-]+@[\w-]+\.[\w.-]+)>|/?[A-Za-z][^<>\n]*>)")
_TARGET: Final = re.compile(
    r"\(\s*(?:<([^<>\n]*)>|((?:[^\s()<>]++|\([^\s()]*+\))++))(?:\s+(\"[^\"\n]*\"|'[^'\n]*'|\([^()\n]*\)))?\s*\)"
)
_FORMULA: Final = re.compile(r"\$(?=[^\s$])[^$\n]*(?<=[^\s\\])\$(?!\d)")
_TRAILING: Final = ".,;:!?'\"*_~)|]}+`"


class Line:
    """One run over the text of a block. `nodes` are its pieces in order, `places` where in the text each begins."""

    __slots__ = ("_brackets", "_closers", "_code", "_indent", "_marks", "_sign", "_spans", "_text", "nodes", "places")

    def __init__(self, text: str, indent: str = "") -> None:
        self.nodes: list[str] = []
        self.places: list[int] = []
        self._text = text
        self._indent = indent
        self._sign = _SIGN_OR_ADDRESS if "://" in text else _SIGN
        self._marks: list[Mark] = []
        self._spans: list[tuple[int, int, str, str]] = []
        self._code: dict[int, list[int]] | None = None
        self._brackets: dict[int, int] | None = None
        self._closers: dict[str, bool] = {}

    def read(self, *, cut_off: bool = False) -> None:
        """Take the text apart. cut_off: it is the end of an answer, marks that are open may be closed."""
        self._read(0, len(self._text), linked=False, cut_off=cut_off)

    def laid(self, at: int) -> tuple[str, list[Span], list[int]]:
        """Return the text, its spans, and where each piece begins, as they are when the text begins at a place."""
        starts = list(accumulate(map(len, self.nodes), initial=at))
        spans = [
            Span(starts[first], starts[end], kind, extra)
            for first, end, kind, extra in self._spans
            if starts[end] > starts[first]
        ]
        return "".join(self.nodes), spans, starts

    @property
    def links(self) -> bool:
        """Whether something in it is a link."""
        return any(span[2] == "text_link" for span in self._spans)

    def _put(self, text: str, place: int) -> None:
        self.nodes.append(text)
        self.places.append(place)

    def _read(self, place: int, end: int, *, linked: bool, cut_off: bool = False) -> None:
        text, search, steps = self._text, self._sign.search, self._STEPS
        marks, self._marks = self._marks, []
        while place < end:
            found = search(text, place, end)
            start = found.start() if found else end
            if start > place:
                self.nodes.append(text[place:start])
                self.places.append(place)
            if found is None:
                break
            after, sign = found.end(), text[start]
            if sign in _RUNS:
                while after < end and text[after] == sign:
                    after += 1
            # Each step takes what begins at its sign, and returns where to go on, always further than start.
            place = steps.get(sign, Line._bare_address)(self, start, after, end, linked)
        self._pair(cut_off)
        self._marks = marks

    def _pair(self, cut_off: bool) -> None:
        if not self._marks:
            return
        found = pair(self._marks, cut_off=len(self.nodes) if cut_off else 0)
        self._spans += [(first, end, kind, "") for first, end, kind in found]
        for mark in self._marks:
            self.nodes[mark.node] = mark.sign * mark.left

    def _mark(self, start: int, after: int, _end: int, _linked: bool) -> int:
        sign, length = self._text[start], after - start
        if sign not in _DOUBLE or length == 2:
            opens, closes = flanks(self._text, start, after)
            if opens or closes:
                self._marks.append(Mark(len(self.nodes), sign, length, opens, closes))
        self._put(self._text[start:after], start)
        return after

    def _break(self, start: int, after: int, end: int, _linked: bool) -> int:
        # Blanks around a line's end say nothing; what the next line is indented with, its block decides.
        if self.nodes:
            self.nodes[-1] = self.nodes[-1].rstrip(" \t")
        self._put("\n" + self._indent, start)
        while after < end and self._text[after] in " \t":
            after += 1
        return after

    def _escape(self, start: int, _after: int, end: int, _linked: bool) -> int:
        after = self._text[start + 1] if start + 1 < end else ""
        if after in {"(", "["} and (stop := self._closing("\\)" if after == "(" else "\\]", start + 2, end)):
            self._put(self._text[start:stop], start)
            return stop
        if after == "\n":
            return start + 1
        if after in _ESCAPED and after not in _TEX_ESCAPED and after:
            self._put(after, start + 1)
            return start + 2
        self._put("\\", start)
        return start + 1

    def _closing(self, closer: str, start: int, end: int) -> int:
        """Return where closer ends, 0 when there is none; looked for in vain once only."""
        if self._closers.get(closer) is False:
            return 0
        place = self._text.find(closer, start)
        self._closers[closer] = place >= 0
        return place + len(closer) if 0 <= place <= end - len(closer) else 0

    def _formula(self, start: int, _after: int, end: int, _linked: bool) -> int:
        if self._text.startswith("$$", start):
            stop = self._closing("$$", start + 2, end) or start + 2
        else:
            found = _FORMULA.match(self._text, start, end)
            stop = found.end() if found else start + 1
        self._put(self._text[start:stop], start)
        return stop

    def _code_span(self, start: int, after: int, end: int, linked: bool) -> int:
        stop = self._code_end(start, after)
        if not stop or stop > end or self._text[after : stop - (after - start)].isspace():
            self._put(self._text[start:after], start)
            return after
        content = self._text[after : stop - (after - start)].replace("\n", " ")
        trimmed = content[0] == content[-1] == " "
        if not linked:
            self._spans.append((len(self.nodes), len(self.nodes) + 1, "code", ""))
        self._put(content[1:-1] if trimmed else content, after + trimmed)
        return stop

    def _code_end(self, start: int, after: int) -> int:
        close = self._text.find(self._text[start:after], after)
        if close < 0:
            return 0
        stop = close + after - start
        if self._text[close - 1] != "`" and self._text[stop : stop + 1] != "`":
            return stop
        # Only longer runs are near: all of them are looked up, once, for they would else be gone through again and again.
        if self._code is None:
            self._code = {}
            for run in re.finditer(r"`+", self._text):
                self._code.setdefault(run.end() - run.start(), []).append(run.start())
            for runs in self._code.values():
                runs.reverse()
        runs = self._code.get(after - start, [])
        while runs and runs[-1] < after:
            runs.pop()
        return runs[-1] + after - start if runs else 0

    def _angle(self, start: int, _after: int, end: int, _linked: bool) -> int:
        found = _ANGLE.match(self._text, start, end)
        if found is None:
            self._put("<", start)
            return start + 1
        inner = found[1]
        if inner is None:
            self._put(found[0], start)
        else:
            self._put(mail(inner) or inner, start + 1)
        return found.end()

    def _bare_address(self, start: int, after: int, _end: int, _linked: bool) -> int:
        found = self._text[start:after]
        while found and found[-1] in _TRAILING and not (found[-1] == ")" and found.count("(") >= found.count(")")):
            found = found[:-1]
        self._put(found, start)
        return start + len(found)

    def _bracket(self, start: int, after: int, end: int, linked: bool) -> int:
        if self._text[start] == "!":
            if after >= end or self._text[after] != "[":
                self._put("!", start)
                return after
            after += 1
        close = 0 if linked else self._matching(after - 1)
        found = _TARGET.match(self._text, close + 1, end) if close else None
        if found is None:
            self._put(self._text[start:after], start)
            return after
        target = found[1] if found[1] is not None else found[2]
        if url := address(target):
            self._link(after, close, url, found[3] or "")
        elif to := mail(target):
            self._read(after, close, linked=True)
            if to not in self._text[after:close]:
                self._put(f" ({to})", close)
        else:
            self._put(self._text[start : found.end()], start)
        return found.end()

    def _link(self, start: int, end: int, url: str, title: str) -> None:
        first = len(self.nodes)
        self._read(start, end, linked=True)
        if not "".join(self.nodes[first:]).strip():
            self._put(url, end)
        self._spans.append((first, len(self.nodes), "text_link", url))
        if title[1:-1].strip():
            self._put(f" ({title[1:-1].strip()})", end)

    def _matching(self, place: int) -> int:
        """Return the place of the bracket that closes the one at place, 0 when none does."""
        if simple := _SIMPLE.match(self._text, place):
            return simple.end() - 1
        if self._brackets is None:
            self._brackets = _brackets(self._text) if "](" in self._text else {}
        return self._brackets.get(place, 0)

    _STEPS: ClassVar = {
        **dict.fromkeys("*_~|+", _mark),
        **dict.fromkeys("[!", _bracket),
        "`": _code_span,
        "\n": _break,
        "\\": _escape,
        "<": _angle,
        "$": _formula,
    }


_SIMPLE: Final = re.compile(r"\[[^\[\]\\]*+\]")
_BRACKET: Final = re.compile(r"\\.|[\[\]]", re.DOTALL)


def _brackets(text: str) -> dict[int, int]:
    found: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACKET.finditer(text):
        if match[0] == "[":
            opened.append(match.start())
        elif match[0] == "]" and opened:
            found[opened.pop()] = match.start()
    return found
