"""What loading must make of any files: a good bot, or problems with places. Never an exception."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.change import compare, fleet_changes
from config.errors import Problem
from config.files import MAX_BYTES
from config.load import Loader
from config.show import as_json
from config.snapshot import Snapshot
from tests.hostile.seeds import ENVIRON, Fleet

PLACELESS = ("is larger than", "does not exist", "every user of this machine", "there is no environment")
"""What is said of a file as a whole."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one fleet: `broken` names the promise that was not kept."""

    snapshot: Snapshot
    broken: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether there was nothing to complain of."""
        return not self.snapshot.problems


def write(root: Path, fleet: Fleet) -> None:
    """Write the files of a fleet over those of the one before."""
    for name, data in fleet.texts.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)


def judge(root: Path, fleet: Fleet, before: Snapshot | None = None) -> Verdict:
    """Load a fleet and hold everything that comes of it against what is promised."""
    write(root, fleet)
    snapshot = Loader(root, environ=ENVIRON).load()
    broken = [text for problem in snapshot.problems + snapshot.warnings for text in flaws(problem, root, fleet.texts)]
    if not snapshot.problems and "a" not in snapshot.bots:
        broken.append("a bot is gone, and nothing is said")
    if any(problem.bot_id == "a" for problem in snapshot.problems) and "a" in snapshot.bots:
        broken.append("a bot with problems runs")
    for spec in snapshot.bots.values():
        as_json(spec, snapshot.secrets)
    compare(None, snapshot)
    if before is not None:
        compare(before, snapshot)
        compare(snapshot, before)
        fleet_changes(before, snapshot)
    return Verdict(snapshot, tuple(broken))


def flaws(problem: Problem, root: Path, texts: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with a problem: no place, a place outside of the file, a text not fit to be shown."""
    said, found = str(problem).replace(str(root), ""), []
    if not said.isprintable():
        found.append(f"not printable: {said!r}")
    if len(said) > 2000:
        found.append(f"{len(said)} characters: {said[:200]}")
    data = texts.get(str(problem.file.relative_to(root)), b"").removeprefix(codecs.BOM_UTF8)
    if not problem.line and not problem.message.startswith(PLACELESS) and 0 < len(data) <= MAX_BYTES:
        found.append(f"no place: {said}")
    text = data.decode("utf-8-sig", "replace")
    # The parser of .env takes a lone carriage return for a line end, too; who decodes the file does not.
    ends = ("\n", "\r\n|\n|\r") if problem.file.name == ".env" else ("\n",)
    if not any(_within(problem, re.split(end, text)) for end in ends):
        found.append(f"outside of the file: {said}")
    return found


def _within(problem: Problem, lines: list[str]) -> bool:
    """Tell whether a problem's place lies within its file, or is the whole of it."""
    if not problem.line:
        return True
    return problem.line <= len(lines) and 1 <= problem.column <= len(lines[problem.line - 1]) + 2
