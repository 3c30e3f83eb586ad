"""`botdeck profile`: what a bot knows of a person, shown and put right."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "profile",
    short_help="Show or edit what a bot knows of a person.",
    epilog=examples(
        "botdeck profile support 501",
        'botdeck profile support 501 --set name=Ann --set "likes=short answers"',
        "botdeck profile support 501 --unset likes --json",
    ),
)
@click.argument("bot")
@click.argument("user")
@fleet_option
@env_option
@click.option("--set", "settings", metavar="FACT=VALUE", multiple=True, help="Write a fact down.")
@click.option("--unset", "gone", metavar="FACT", multiple=True, help="Delete a fact.")
@json_option
def command(
    bot: str,
    user: str,
    root: Path,
    environment: str | None,
    settings: tuple[str, ...],
    gone: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print what BOT knows of USER (the person's number), after the changes asked for.

    The model is told these facts where the bot has `[memory] profile = true`. At most 64 facts, of 500 characters each.
    """
    from console.asking import actor, ask
    from console.output import clock_time, fit, print_json, table

    changes: dict[str, str | None] = dict.fromkeys(gone)
    changes |= dict(map(_setting, settings))
    facts = ask(root, environment, lambda remote: remote.profile(bot, user, changes=changes, actor=actor()))
    if as_json:
        print_json(facts)
        return
    lines = [(fact["fact"], fact["value"], fact["by"] or "-", clock_time(fact["updated_at"])) for fact in facts]
    click.echo(fit(table(("FACT", "VALUE", "BY", "SINCE"), lines)) if lines else "nothing is known")


def _setting(text: str) -> tuple[str, str]:
    fact, sign, value = text.partition("=")
    if not sign:
        raise click.BadParameter(f"{text!r} is not FACT=VALUE", param_hint="--set")
    return fact, value
