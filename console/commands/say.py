"""`botdeck say`: one turn with a bot, as its operator."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "say",
    short_help="Talk to a bot as its operator.",
    epilog=examples('botdeck say support "Where is my parcel?"', "botdeck say support --session prices Hello --json"),
)
@click.argument("bot")
@click.argument("words", metavar="TEXT...", nargs=-1, required=True)
@fleet_option
@env_option
@click.option("--session", default="cli", show_default=True, help="Another session, another conversation.")
@json_option
def command(bot: str, words: tuple[str, ...], root: Path, environment: str | None, session: str, as_json: bool) -> int:
    """Ask BOT by its configuration as it is now, and print its answer; TEXT - reads stdin.

    The conversation is the operator's own: remembered, marked as such, its tokens counted, and sent to nobody. Exit code 1
    when no answer can be had.
    """
    from console.asking import actor, ask
    from console.output import print_json, visible

    text = sys.stdin.read() if words == ("-",) else " ".join(words)
    said = ask(root, environment, lambda remote: remote.say(bot, text, session=session, actor=actor()))
    if as_json:
        print_json(said)
        return exits.FAILURE if said["error"] else exits.OK
    if said["error"]:
        click.echo(f"error: no answer: {visible(said['error'])}", err=True)
        return exits.FAILURE
    click.echo("\n".join(map(visible, said["text"].split("\n"))))
    who = "/".join(filter(None, (said["provider"], said["model"])))
    cost = f"{said['tokens_in']} + {said['tokens_out']} tokens, {said['latency_s']:.1f} s"
    click.echo(f"({visible(who)}, {cost})", err=True)
    return exits.OK
