"""`botdeck edit`: a file of the fleet in your editor, checked before it is saved."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option, yes_option


@click.command(
    "edit",
    short_help="Edit a bot's file, or fleet.toml; it is checked before it is saved.",
    epilog=examples(
        "botdeck edit support -C mybots", "botdeck edit fleet.toml", "EDITOR='code --wait' botdeck edit support"
    ),
)
@click.argument("bot")
@fleet_option
@env_option
@yes_option
def command(bot: str, root: Path, environment: str | None, yes: bool) -> int:
    """Open a copy of BOT's file in $VISUAL or $EDITOR, or of the file all bots share when BOT is fleet.toml. What is saved
    there is checked, shown as a difference with what it disturbs, and, when you agree, put in the file's place; a running
    fleet applies it at once.

    A text with mistakes is opened again with the mistakes on top. What you typed is never lost: where it could not be
    saved, the message names the file it is kept in.
    """
    import anyio

    from console.editing import edit
    from console.place import find

    return anyio.run(edit, find(root, environment), environment, bot, yes)
