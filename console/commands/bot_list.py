"""`botdeck bot list`: the bots of the folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from config.snapshot import Snapshot


@click.command(
    "list",
    short_help="List the bots of the folder.",
    epilog=examples("botdeck bot list -C mybots", "botdeck bot list --json"),
)
@fleet_option
@env_option
@json_option
def command(root: Path, environment: str | None, as_json: bool) -> None:
    """List every bot file of the folder, good or bad, whether the fleet runs or not. `status` shows how they fare."""
    from config.load import Loader
    from console.output import print_json, table

    rows = listed(Loader(root, environment=environment).load())
    if as_json:
        print_json(rows)
        return
    header = ("BOT", "NAME", "ENABLED", "CHANNEL", "MODEL", "FILE")
    click.echo(table(header, [_cells(row) for row in rows]))


def listed(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return a row per bot file; a bad one has its first problem instead of what it says."""
    rows: dict[str, dict[str, Any]] = {}
    for problem in snapshot.problems:
        if problem.bot_id is not None:
            rows.setdefault(problem.bot_id, {"bot_id": problem.bot_id, "problem": str(problem)})
    for bot_id, spec in snapshot.bots.items():
        config = spec.config
        rows[bot_id] = {
            "bot_id": bot_id,
            "name": config.name or bot_id,
            "enabled": config.enabled,
            "channel": config.channel,
            "provider": config.llm.provider,
            "model": config.llm.model,
            "file": str(spec.path),
            "problem": None,
        }
    return [rows[bot_id] for bot_id in sorted(rows)]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if row["problem"]:
        return (row["bot_id"], "-", "-", "-", "-", row["problem"])
    model = "/".join(filter(None, (row["provider"], row["model"])))
    return (row["bot_id"], row["name"], "yes" if row["enabled"] else "no", row["channel"], model, row["file"])
