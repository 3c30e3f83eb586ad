"""`botdeck bot export`: one bot's rows in a portable file."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option
from console.output import say


@click.command(
    "export",
    short_help="Write one bot's rows into a portable file.",
    epilog=examples("botdeck bot export support support.botdeck -C mybots"),
)
@click.argument("bot")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@fleet_option
@env_option
@click.option("--force", is_flag=True, help="Replace FILE when it exists.")
def command(bot: str, file: Path, root: Path, environment: str | None, force: bool) -> None:
    """Write all rows of BOT (conversations, inbox, counters; no token) into FILE, for `botdeck bot import`."""
    from console.asking import ask_either

    target = file.absolute()
    done = ask_either(
        root,
        environment,
        lambda remote: remote.export_bot(bot, target, overwrite=force),
        lambda offline: offline.export_bot(bot, target, overwrite=force),
    )
    say(f"wrote {done['file']} ({done['rows']} rows of {done['bot_id']})")
