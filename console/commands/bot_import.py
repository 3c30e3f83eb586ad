"""`botdeck bot import`: one bot's rows from a portable file."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option
from console.output import say


@click.command(
    "import",
    short_help="Read one bot's rows from a portable file.",
    epilog=examples("botdeck bot import support.botdeck -C mybots", "botdeck bot import support.botdeck --as helpdesk"),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@fleet_option
@env_option
@click.option("--as", "bot_id", metavar="BOT", help="Import under another bot id.")
def command(file: Path, root: Path, environment: str | None, bot_id: str | None) -> None:
    """Read FILE, written by `botdeck bot export`, into a bot that has no rows yet. Import first, then add its file."""
    from console.asking import actor, ask_either

    source = file.absolute()
    done = ask_either(
        root,
        environment,
        lambda remote: remote.import_bot(source, bot_id, actor=actor()),
        lambda offline: offline.import_bot(source, bot_id),
    )
    say(f"{done['bot_id']}: {done['rows']} rows imported")
