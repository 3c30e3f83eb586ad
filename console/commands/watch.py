"""`botdeck watch`: a compact status that is drawn over itself."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "watch",
    short_help="Watch the fleet in a few lines, without a screen of its own.",
    epilog=examples("botdeck watch -C mybots", "botdeck watch --rows 5", "botdeck watch --json"),
)
@fleet_option
@env_option
@json_option
@click.option("--rows", default=0, type=click.IntRange(0, 1000), help="Bots shown (0 = what fits), worst first.")
def command(root: Path, environment: str | None, as_json: bool, rows: int) -> int:
    """Watch a fleet until Ctrl-C: a line for the fleet and one a bot, those that need a person first.

    Waits for a fleet that does not run, and for one that is started again. --json prints every change as one line.
    """
    import anyio

    from console.place import find
    from console.watching import watch, watch_json

    place = find(root, environment)
    try:
        anyio.run(watch_json, place) if as_json else anyio.run(watch, place, rows)
    except KeyboardInterrupt:
        return 0
    return 0
