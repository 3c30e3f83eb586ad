"""`botdeck reload`: the files, read anew now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "reload",
    short_help="Read the fleet's files anew now.",
    epilog=examples("botdeck reload -C mybots", "botdeck reload --json"),
)
@fleet_option
@env_option
@json_option
def command(root: Path, environment: str | None, as_json: bool) -> int:
    """Have the running fleet read its folder anew at once, and say what that changed.

    It does so by itself when a file changes; this is for folders whose changes the system does not tell of, and for
    scripts that want to know. Exit code 2 when a file has a mistake; the bots go on with what was good.
    """
    from console.asking import actor, ask
    from console.output import print_json

    done = ask(root, environment, lambda remote: remote.reload(actor=actor()))
    if as_json:
        print_json(done)
    else:
        _show(done)
    return exits.USAGE if done["problems"] else exits.OK


def _show(done: dict[str, Any]) -> None:
    from console.output import visible
    from console.rows import change_words, problem_words

    for change in done["changes"]:
        click.echo(f"{change['bot_id']}: {change_words(change)}")
    if not done["changes"]:
        click.echo("nothing changed")
    for problem in done["problems"]:
        click.echo(f"error: {visible(problem_words(problem))}", err=True)
