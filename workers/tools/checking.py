"""What `botdeck check` finds wrong with tools: files, functions, names, templates. Runs the fleet's own Python files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from config.build import FileRecipe, problems_of
from config.errors import Problem
from config.resolve import Fault
from workers.tools import templates
from workers.tools.builtin import features
from workers.tools.http import revealed
from workers.tools.modules import FOLDER, Broken, Loaded, load
from workers.tools.python import function_of
from workers.tools.servers import MISSING
from workers.tools.signatures import Unfit

if TYPE_CHECKING:
    from config.schema import ToolSection
    from config.snapshot import BotSpec, Snapshot


_WORDS: Final = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}


@dataclass(slots=True)
class Found:
    """All that is wrong with the tools of a fleet, and what is allowed but unwise."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Remark:
    """Something about one key of one tool."""

    key: str
    message: str
    hint: str = ""
    grave: bool = True


def check(snapshot: Snapshot) -> Found:
    """Return all that is wrong with the tools of every valid bot. Each Python file is run once, whatever bots use it."""
    found = Found()
    files = _Files(snapshot.root / FOLDER)
    for spec in snapshot.bots.values():
        for number, section in enumerate(spec.config.tools):
            for remark in (*_name_remarks(spec, section), *_remarks(section, files)):
                fault = _fault(spec, number, remark)
                kept = found.problems if remark.grave else found.warnings
                kept += problems_of([fault], spec.bot_id, snapshot.secrets)
    files.leave()
    return found


class _Files:
    """The Python files of a fleet, each loaded once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Loaded | Broken] = {}

    def get(self, name: str) -> Loaded | Broken:
        """Return a file, loaded, or why it cannot be."""
        if name not in self._known:
            try:
                self._known[name] = load(self._folder, name)
            except Broken as error:
                self._known[name] = error
        return self._known[name]

    def leave(self) -> None:
        """Forget them all."""
        for loaded in self._known.values():
            if isinstance(loaded, Loaded):
                loaded.leave()


def _fault(spec: BotSpec, number: int, remark: _Remark) -> Fault:
    assert isinstance(spec.recipe, FileRecipe), "a bot of a snapshot was built from its files"
    place = spec.recipe.place(("tools", number, remark.key))
    return Fault(place, remark.message, remark.hint)


def _name_remarks(spec: BotSpec, section: ToolSection) -> Iterator[_Remark]:
    """Find a name that is taken by what memory.profile and reply.suggestions bring along."""
    if section.name in {tool.spec.name for tool in features(spec.config).offered}:
        hint = "choose another name, or switch off memory.profile or reply.suggestions"
        yield _Remark("name", f'"{section.name}" is a tool that comes with profile or suggestions', hint)


def _remarks(section: ToolSection, files: _Files) -> Iterator[_Remark]:
    match section.kind:
        case "python":
            yield from _python_remarks(section, files)
        case "http":
            yield from _http_remarks(section)
        case "mcp":
            yield from _mcp_remarks(section)


def _python_remarks(section: ToolSection, files: _Files) -> Iterator[_Remark]:
    file, _, name = section.callable.partition(":")
    loaded = files.get(file)
    if isinstance(loaded, Broken):
        yield _Remark("callable", loaded.message)
        return
    try:
        _, signature = function_of(loaded.module, name)
    except Unfit as error:
        yield _Remark("callable", f"{FOLDER}/{file}.py: {name} {error.message}", error.hint)
        return
    for argument, kind in signature.untyped.items():
        message = (
            f"{FOLDER}/{file}.py: argument {argument} of {name} has no type; the model is told it is {_WORDS[kind]}"
        )
        yield _Remark("callable", message, f"write {argument}: {kind}", grave=False)
    if not section.description and not signature.description:
        message = f"{FOLDER}/{file}.py: {name} has no docstring; the model is not told what it does"
        yield _Remark("callable", message, "write a docstring, or a description here", grave=False)


def _http_remarks(section: ToolSection) -> Iterator[_Remark]:
    used = set(templates.names([revealed(section.url), section.query, section.body]))
    for name in section.parameters.keys() - used:
        message = f'argument "{name}" is used neither in url nor in query nor in body'
        yield _Remark("parameters", message, f"write {{{name}}} where it belongs", grave=False)
    if not section.description:
        yield _Remark("name", "has no description; the model is not told what it does", grave=False)


def _mcp_remarks(section: ToolSection) -> Iterator[_Remark]:
    if find_spec("mcp") is None:
        yield _Remark("kind", MISSING)
    if section.command and shutil.which(section.command[0]) is None and "/" not in section.command[0]:
        yield _Remark("command", f"there is no program {section.command[0]!r} on the PATH", grave=False)
