"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

fleet_option = click.option(
    "-C",
    "--fleet",
    "root",
    envvar="BOTDECK_FLEET",
    default=".",
    show_default="this folder",
    type=click.Path(path_type=Path),
    help="The fleet's folder (BOTDECK_FLEET).",
)
"""Gives `root: Path`."""

env_option = click.option(
    "--env",
    "environment",
    envvar="BOTDECK_ENV",
    default=None,
    metavar="NAME",
    help="The environment to use (BOTDECK_ENV).",
)
"""Gives `environment: str | None`."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""Gives `as_json: bool`."""

follow_option = click.option("-f", "--follow", is_flag=True, help="Go on with what comes until Ctrl-C.")
"""Gives `follow: bool`."""

tail_option = click.option(
    "-n", "--tail", default=100, show_default=True, type=click.IntRange(0, 100_000), help="How many to begin with."
)
"""Gives `tail: int`."""

since_option = click.option("--since", metavar="WHEN", help="Nothing older: 10m, 2h, 3d, or 2026-01-31T18:00.")
"""Gives `since: str | None`."""

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
"""Gives `yes: bool`."""


def examples(*lines: str) -> Any:
    """Show example command lines below the help of a command."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
