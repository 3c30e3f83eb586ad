"""What a function's docstring says: what it does, and what each argument is. Google, Sphinx and numpy styles."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_SECTION: Final = re.compile(
    r"(args|arguments|parameters|params|returns?|yields?|raises|examples?|notes?|warnings?|see also|attributes|references|"
    r"other parameters|keyword args|keyword arguments|todo):\s*$",
    re.IGNORECASE,
)
_ARGUMENTS: Final = frozenset(
    {"args", "arguments", "parameters", "params", "other parameters", "keyword args", "keyword arguments"}
)
_GOOGLE: Final = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_SPHINX: Final = re.compile(r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)$")
_FIELD: Final = re.compile(r":\w+[^:]*:")
_NUMPY: Final = re.compile(r"\*{0,2}(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?$")
_UNDERLINE: Final = re.compile(r"\s*-{3,}\s*$")


class Said(NamedTuple):
    """A docstring, read: the text before its sections, and argument → what is said of it."""

    description: str
    arguments: dict[str, str]


def read(text: str | None) -> Said:
    """Read a docstring of any style; whatever is not understood is left out."""
    lines = inspect.cleandoc(text or "").splitlines()
    description: list[str] = []
    arguments: dict[str, str] = {}
    section = ""
    for title, block in _blocks(lines):
        section = title
        if not section:
            description += block
        elif section in _ARGUMENTS:
            arguments.update(_listed(block))
    plain, fields = _without_fields(description)
    return Said("\n".join(plain).strip(), {**arguments, **fields})


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (title in small letters, lines) of each section; the text before the first has no title."""
    title, block = "", list[str]()
    number = 0
    while number < len(lines):
        line = lines[number]
        google = _SECTION.match(line)
        numpy = number + 1 < len(lines) and bool(line.strip()) and _UNDERLINE.match(lines[number + 1]) is not None
        if google or numpy:
            yield title, block
            title, block = (google[1] if google else line.strip()).lower(), []
            number += 1 if google else 2
        else:
            block.append(line)
            number += 1
    yield title, block


def _listed(block: list[str]) -> dict[str, str]:
    """Return the arguments of a section: each begins at the least indent, what is said goes on below it."""
    indents = [len(line) - len(line.lstrip()) for line in block if line.strip()]
    least = min(indents, default=0)
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in block:
        text = line.strip()
        if text and len(line) - len(line.lstrip()) == least:
            names = []
            if match := _GOOGLE.match(text) if least else None:
                names, said = [match[1]], match[2]
            elif match := _NUMPY.match(text):
                names, said = re.split(r"\s*,\s*", match[1]), ""
            for name in names:
                found[name] = [said] if said else []
        elif text:
            for name in names:
                found[name].append(text)
    return {name: " ".join(said) for name, said in found.items()}


def _without_fields(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return text without its `:param name: …` fields, and what these say."""
    plain: list[str] = []
    said: dict[str, str] = {}
    name: str | None = None
    within = False
    for line in lines:
        text = line.strip()
        if _FIELD.match(text):
            within, match = True, _SPHINX.match(text)
            name = match[1] if match else None
            if match:
                said[match[1]] = match[2]
        elif not text or not within:
            within = within and bool(text)
            plain.append(line)
        elif name:
            said[name] = f"{said[name]} {text}".strip()
    return plain, said
