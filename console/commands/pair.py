"""`botdeck pair`: a code that lets one person in."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "pair",
    short_help="Make a one-time code that lets somebody talk to a bot.",
    epilog=examples("botdeck pair support", "botdeck pair support --minutes 60 --json"),
)
@click.argument("bot")
@fleet_option
@env_option
@click.option(
    "--minutes",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, 10_080, min_open=True),
    help="How long it is good.",
)
@json_option
def command(bot: str, root: Path, environment: str | None, minutes: float, as_json: bool) -> None:
    """Print a code for BOT. Whoever sends it to the bot, in a private chat, may talk to it from then on.

    The code is shown this once: the database keeps a digest of it. It counts where `[access] mode = "pairing"`.
    """
    from console.asking import actor, ask
    from console.output import clock_time, print_json, visible

    made = ask(root, environment, lambda remote: remote.pair(bot, minutes=minutes, actor=actor()))
    if as_json:
        print_json(made)
        return
    click.echo(made["code"])
    click.echo(f"good once, until {clock_time(made['expires_at'])}; send it to the bot in a private chat", err=True)
    if made["mode"] != "pairing":
        mode = visible(made["mode"] or "not known")
        click.echo(f'note: [access] mode of {visible(bot)} is {mode}; a code counts where it is "pairing"', err=True)
