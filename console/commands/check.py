"""`botdeck check`: all that is wrong with the files of a fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "check",
    short_help="Check every file of the fleet and say all that is wrong.",
    epilog=examples("botdeck check -C mybots", "botdeck check --env production --json"),
)
@fleet_option
@env_option
@json_option
def command(root: Path, environment: str | None, as_json: bool) -> int:
    """Check fleet.toml, the environments and every bot file, without running anything. Exit code 2 when something is wrong."""
    from config.load import Loader
    from console.output import print_json, say

    snapshot = Loader(root, environment=environment).load()
    if as_json:
        print_json(
            {
                "ok": not snapshot.problems,
                "bots": sorted(snapshot.bots),
                "problems": [problem_dict(p) for p in snapshot.problems],
                "warnings": [problem_dict(p) for p in snapshot.warnings],
            }
        )
    else:
        for warning in snapshot.warnings:
            say(f"warning: {warning}", err=True)
        for problem in snapshot.problems:
            say(str(problem))
        say(_summary(len(snapshot.bots), len(snapshot.problems)), err=bool(snapshot.problems))
    return exits.USAGE if snapshot.problems else exits.OK


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
