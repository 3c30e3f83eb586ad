"""`botdeck attach`: the console of a fleet that runs elsewhere on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option


@click.command(
    "attach",
    short_help="Open the console of a running fleet.",
    epilog=examples("botdeck attach -C mybots", "botdeck attach --readonly"),
)
@fleet_option
@env_option
@click.option("--readonly", is_flag=True, help="Look only: every order is refused by the fleet.")
def command(root: Path, environment: str | None, readonly: bool) -> int:
    """Open the console on a fleet that runs headless, or in another terminal. Leaving it stops nothing.

    Any number of consoles may be attached at once. For a fleet on another machine: `ssh -t host botdeck attach -C DIR`.
    """
    from console.terminal import attach

    return attach(root, environment, readonly=readonly)
