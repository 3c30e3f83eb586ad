"""`botdeck access`: who may talk to a bot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from console.answers import AccessAnswer

_MODES: Final = {
    "open": "open to everybody who is not blocked",
    "allowlist": "open to those on its lists",
    "pairing": "open to those on its lists and to who sends a code",
    "": "without a good configuration",
}


@click.command(
    "access",
    short_help="Show who may talk to a bot; let people in, shut them out.",
    epilog=examples(
        "botdeck access support",
        "botdeck access support --allow 501 --block 666",
        "botdeck access support --remove 501 --json",
    ),
)
@click.argument("bot")
@fleet_option
@env_option
@click.option("--allow", metavar="USER", multiple=True, type=int, help="Let a person in, by number.")
@click.option("--block", metavar="USER", multiple=True, type=int, help="Shut a person out, by number.")
@click.option("--remove", metavar="USER", multiple=True, type=int, help="Forget what was decided about a person.")
@json_option
def command(
    bot: str,
    root: Path,
    environment: str | None,
    allow: tuple[int, ...],
    block: tuple[int, ...],
    remove: tuple[int, ...],
    as_json: bool,
) -> None:
    """Show who may talk to BOT, after the decisions asked for; they count at once, for the next message.

    The lists of `[access]` in the bot's file are edited there, and shown here. Who is blocked in either stays out.
    """
    from console.asking import actor, ask
    from console.output import print_json

    decided = {"allow": allow, "block": block, "remove": remove}
    answer = ask(root, environment, lambda remote: remote.access(bot, **decided, actor=actor()))
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def _show(answer: AccessAnswer) -> None:
    from console.output import clock_time, fit, table, visible

    click.echo(f"{visible(answer['bot_id'])} is {_MODES[answer['mode']]}")
    for name, listed in (("allow", answer["allow"]), ("block", answer["block"]), ("admins", answer["admins"])):
        if listed:
            click.echo(f"  {name} = {', '.join(map(str, listed))}")
    if answer["open_codes"]:
        click.echo(f"  codes that wait to be used: {answer['open_codes']}")
    lines = [
        (row["user_id"], row["state"], row["name"] or "-", row["by"] or "-", clock_time(row["at"]))
        for row in answer["people"]
    ]
    if lines:
        click.echo(fit(table(("USER", "STATE", "NAME", "BY", "SINCE"), lines)))
