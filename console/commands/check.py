"""`botdeck check`: all that is wrong with the files of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from config.errors import Problem
    from config.snapshot import Snapshot


@click.command(
    "check",
    short_help="Check every file of the fleet and say all that is wrong.",
    epilog=examples("botdeck check -C mybots", "botdeck check --env production --json"),
)
@fleet_option
@env_option
@json_option
def command(root: Path, environment: str | None, as_json: bool) -> int:
    """Check fleet.toml, the environments and every bot file, without running any bot; files in tools/ are imported. Exit code 2 when something is wrong."""
    from config.load import Loader
    from console.output import print_json, say

    snapshot = Loader(root, environment=environment).load()
    problems, warnings = with_tools(snapshot)
    if as_json:
        print_json(
            {
                "ok": not problems,
                "bots": sorted(snapshot.bots),
                "problems": [problem_dict(p) for p in problems],
                "warnings": [problem_dict(p) for p in warnings],
            }
        )
    else:
        for warning in warnings:
            say(f"warning: {warning}", err=True)
        for problem in problems:
            say(str(problem))
        say(_summary(len(snapshot.bots), len(problems)), err=bool(problems))
    return exits.USAGE if problems else exits.OK


def with_tools(snapshot: Snapshot) -> tuple[Sequence[Problem], Sequence[Problem]]:
    """Return problems and warnings of a snapshot and of its bots' tools; runs the Python files these name, once each."""
    if not any(spec.config.tools for spec in snapshot.bots.values()):
        return snapshot.problems, snapshot.warnings
    from workers.tools.checking import check  # on use: it loads the tools' own libraries

    found = check(snapshot)
    return (*snapshot.problems, *found.problems), (*snapshot.warnings, *found.warnings)


def problem_dict(problem: Any) -> dict[str, Any]:
    """Return a located problem as JSON-ready words; `line` and `column` are 0 for a whole file."""
    return {
        "file": str(problem.file),
        "line": problem.line,
        "column": problem.column,
        "key": problem.key,
        "message": problem.message,
        "hint": problem.hint,
        "bot_id": problem.bot_id,
    }


def _summary(good: int, bad: int) -> str:
    bots = f"{good} bot{'' if good == 1 else 's'} ready"
    return f"{bots}, {bad} problem{'' if bad == 1 else 's'}" if bad else f"ok: {bots}"
