"""The fleet's variables: the process environment, and `.env` beneath it.

`.env` is parsed by python-dotenv, read only, and never put into os.environ. Its values are taken as they stand:
no `${…}` inside of them is expanded.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import Problem
from config.files import Signature, Unreadable, read_text, signature_at


@dataclass(frozen=True, slots=True)
class Dotenv:
    """What `.env` says; empty when there is none. Never print `values`."""

    path: Path
    signature: Signature | None = None
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Variables:
    """Looks names up: what the process was started with wins over `.env`, as in every tool of this kind."""

    __slots__ = ("_dotenv", "_environ")

    def __init__(self, environ: Mapping[str, str], dotenv: Mapping[str, str]) -> None:
        self._environ = environ
        self._dotenv = dotenv

    def get(self, name: str) -> str | None:
        """Return a variable's text, None when it is not set."""
        value = self._environ.get(name)
        return self._dotenv.get(name) if value is None else value

    def names(self) -> Iterable[str]:
        """Return every name that is set."""
        return self._environ.keys() | self._dotenv.keys()


def read_dotenv(path: Path) -> Dotenv:
    """Read `.env`. Never raises: what is wrong is in `problems`, and no message quotes the file."""
    if not path.exists() and not path.is_symlink():
        return Dotenv(path)
    try:
        text, signature = read_text(path)
    except Unreadable as error:
        problem = Problem(path, error.line, error.column, "", error.message, error.hint)
        return Dotenv(path, signature_at(path), problems=(problem,))
    values, problems = _parse(path, text)
    return Dotenv(path, signature, values, tuple(problems), tuple(_exposed(path)))


def _parse(path: Path, text: str) -> tuple[dict[str, str], list[Problem]]:
    from dotenv.parser import parse_stream  # on use: most loads find .env unchanged

    values: dict[str, str] = {}
    problems: list[Problem] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            problems.append(Problem(path, binding.original.line, 1, "", "not a line of the form NAME=value", "mend it"))
        elif binding.key and binding.value is not None:
            values[binding.key] = binding.value
    return values, problems


def _exposed(path: Path) -> Iterable[Problem]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & stat.S_IROTH:
        yield Problem(path, 0, 0, "", "every user of this machine may read it", f"chmod 600 {path.name}")
