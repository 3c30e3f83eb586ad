"""Nasty documents, made from a seed: what models write, what they write wrongly, and either cut off anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable

SIGNS = ("*", "**", "***", "_", "__", "~~", "~", "||", "|", "++", "`", "``", "```", "[", "]", "](", ")", "![", "<", ">")
ODD = (
    "\\", "$", "$$", "\\(", "\\)", "\\[", "\\]", "&amp;", "&#0;", "<b>", "</b>", "<br>", "<https://e.org>", "<a@b.org>",
    "\u200d", "👩‍👩‍👧", "🇩🇪🇫🇷", "e\u0301", "日本語", "「", "」", "हिन्दी", "\u202e", "\u00a0", "\u2800", "\0", "\t", "\ud83d",
    "[^1]", "[x]", "http://", "https://e.org/a_b*c*(d)", "www.e.org", "- ", "1. ", "# ", "> ", "\r\n", "\u2028", "\x0b", "\x0c",
)  # fmt: skip
TARGETS = ("https://e.org/a", "http://localhost:80", "javascript:alert", "tg://user?id=1", "mailto:a@b.org", "", "#x", "/y",
           "https://пример.рф/", "https://e.org:99999/", "<https://e.org/a b>", "https://" + "a" * 300 + ".org",
           "https://e.org/(a)", "https://e.org/a_b")  # fmt: skip


class Author:
    """Writes one document. Every word is `w<number>x`, numbered as they stand, so that one lost or moved is seen."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.words = 0

    def document(self) -> str:
        """Write a document; every third is cut off somewhere."""
        chance = self.chance
        blocks = [self.block(0) for _ in range(chance.choice((1, 3, 8, 20, 60)))]
        text = "".join(block + chance.choice(("\n\n", "\n", "\n\n\n", "\n \n", "")) for block in blocks)
        if chance.random() < 1 / 3:
            text = text[: chance.randrange(len(text) + 1)]
            if "w" in text[-9:]:
                text = text[: text.rindex("w")]
        return text

    def block(self, depth: int) -> str:
        """Write one block."""
        makers: list[Callable[[int], str]] = [
            self.paragraph, self.paragraph, self.heading, self.listing, self.listing, self.quote, self.fence, self.table,
            self.noise, self.rule, self.formula, self.long,
        ]  # fmt: skip
        return self.chance.choice(makers)(depth)

    def word(self) -> str:
        """Write the next word."""
        self.words += 1
        return f"w{self.words}x"

    def text(self, most: int = 12) -> str:
        """Write a line: words, styles, links, and signs where they do not belong."""
        return " ".join(self._piece() for _ in range(self.chance.randint(1, most)))

    def _piece(self) -> str:
        chance = self.chance
        match chance.randrange(12):
            case 0:
                sign = chance.choice(SIGNS[:10])
                return f"{sign}{self.text(3)}{sign}"
            case 1:
                return chance.choice(SIGNS) + self.word()
            case 2:
                return self.word() + chance.choice(SIGNS)
            case 3:
                title = chance.choice(("", "", ' "t"', " 't'", " (t"))
                bang = chance.choice(("", "", "!"))
                return f"{bang}[{self.text(3)}]({chance.choice(TARGETS)}{title})"
            case 4:
                return chance.choice(ODD) + chance.choice(("", " ", self.word()))
            case 5:
                return f"`{self.word()} {chance.choice(SIGNS)} {self.word()}`"
            case 6:
                return f"{self.word()}😀"
        return self.word()

    def paragraph(self, depth: int) -> str:
        """Write some lines."""
        return "\n".join(self.text() for _ in range(self.chance.randint(1, 4)))

    def long(self, depth: int) -> str:
        """Write a paragraph no message holds, now and then without a single blank."""
        if self.chance.random() < 0.3:
            return self.chance.choice(("x", "é", "😀", "👩‍👩‍👧", "*", "_", "`", "[", "(", "||")) * self.chance.randint(
                100, 6000
            )
        return self.chance.choice((" ", ". ", "\n")).join(self.word() for _ in range(self.chance.randint(100, 1500)))

    def heading(self, depth: int) -> str:
        """Write a heading."""
        return "#" * self.chance.randint(1, 7) + " " + self.text(5)

    def listing(self, depth: int) -> str:
        """Write a list, which may hold any block."""
        lines = []
        sign = self.chance.choice(("- ", "* ", "+ ", "1. ", "7) ", "- [ ] ", "- [x] "))
        for _ in range(self.chance.randint(1, 5)):
            inner = self.text(6)
            if depth < 4 and self.chance.random() < 0.3:
                inner += self.chance.choice(("\n", "\n\n")) + self.block(depth + 1)
            lines.append(sign + inner.replace("\n", "\n" + " " * self.chance.choice((2, 3, 4, 1))))
        return self.chance.choice(("\n", "\n", "\n\n")).join(lines)

    def quote(self, depth: int) -> str:
        """Write a quote, which may hold any block."""
        inner = self.block(depth + 1) if depth < 4 else self.text()
        return "> " + inner.replace("\n", self.chance.choice(("\n> ", "\n>", "\n")))

    def fence(self, depth: int) -> str:
        """Write code, closed or not."""
        sign = self.chance.choice(("```", "~~~", "````"))
        body = "\n".join(self.chance.choice(("", "  ", "\t")) + self.text(5) for _ in range(self.chance.randint(0, 12)))
        end = self.chance.choice((sign, sign, sign, "", "``"))
        return f"{sign}{self.chance.choice(('', 'python', 'c++', 'py title=1'))}\n{body}\n{end}"

    def table(self, depth: int) -> str:
        """Write a table, at times a ragged or a broken one."""
        count = self.chance.randint(1, 5)
        rows = [" | ".join(self.text(2).replace("|", "/").replace("\n", " ") for _ in range(count)) for _ in range(3)]
        rule = "|".join(
            self.chance.choice((":--", "---", "--:", ":-:")) for _ in range(count + (self.chance.random() < 0.1))
        )
        if self.chance.random() < 0.2:
            rows[-1] += f" | {self.word()}"
        return "\n".join([f"| {rows[0]} |", f"|{rule}|", *(f"| {row} |" for row in rows[1:])])

    def noise(self, depth: int) -> str:
        """Write signs at random."""
        pieces = (*SIGNS, *ODD, " ", "\n", "w")
        return "".join(
            self.word() if piece == "w" else piece
            for piece in self.chance.choices(pieces, k=self.chance.randint(1, 60))
        )

    def rule(self, depth: int) -> str:
        """Write a rule, or what looks like one."""
        return self.chance.choice(("---", "***", "___", "===", "- - -", "--"))

    def formula(self, depth: int) -> str:
        """Write a formula, on lines of its own or within one."""
        begin, end = self.chance.choice((("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"), ("$$", "")))
        return f"{begin}{self.chance.choice(('', chr(10)))}{self.word()}_a*b* {self.word()}\n- {self.word()}{end}"
