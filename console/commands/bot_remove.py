"""`botdeck bot remove`: a bot's file and all its rows."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from console.options import env_option, examples, fleet_option, yes_option
from console.output import say


@click.command(
    "remove",
    short_help="Remove a bot: its file and all its rows.",
    epilog=examples("botdeck bot export support support.botdeck", "botdeck bot remove support --yes"),
)
@click.argument("bot")
@fleet_option
@env_option
@yes_option
def command(bot: str, root: Path, environment: str | None, yes: bool) -> None:
    """Stop BOT (turns in flight are finished), delete bots/BOT.toml and every row of it: conversations too.

    There is no way back but an export or a backup.
    """
    from console.asking import actor, ask_either

    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("removing a bot needs --yes, as there is no terminal to ask on")
        typed = click.prompt(f"This deletes all conversations of {bot}. Type its id to go on", err=True)
        if typed != bot:
            raise click.Abort
    done = ask_either(
        root,
        environment,
        lambda remote: remote.remove_bot(bot, actor=actor()),
        lambda offline: offline.remove_bot(bot),
    )
    say(f"{done['bot_id']}: removed ({done['rows']} rows, {done['file']})")
