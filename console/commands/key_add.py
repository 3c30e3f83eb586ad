"""`botdeck key add`: a key of the HTTP API, shown once."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "add",
    short_help="Make a key of the HTTP API.",
    epilog=examples(
        "botdeck key add prometheus --scope read",
        "botdeck key add shop --scope operate --client customer-17 --days 90",
        "botdeck key add backend --scope admin --json",
    ),
)
@click.argument("name")
@fleet_option
@env_option
@click.option(
    "--scope",
    type=click.Choice(["read", "operate", "admin"]),
    required=True,
    help="What it may: look; talk to bots and steer them; everything.",
)
@click.option("--client", metavar="ID", default=None, help="Reach what belongs to this client, and nothing else.")
@click.option("--days", type=click.FloatRange(0, 36_500, min_open=True), help="How long it is good; for ever without.")
@json_option
def command(
    name: str,
    root: Path,
    environment: str | None,
    scope: str,
    client: str | None,
    days: float | None,
    as_json: bool,
) -> None:
    """Print a new key called NAME. It is shown this once: the database keeps a digest of it.

    A running fleet takes it at once. Where the API is served is `[api] listen` of fleet.toml.
    """
    from console.asking import actor, ask_either
    from console.output import print_json, say

    made = ask_either(
        root,
        environment,
        lambda remote: remote.key_add(name, scope, client_id=client, days=days, actor=actor()),
        lambda offline: offline.key_add(name, scope, client_id=client, days=days, actor=actor()),
    )
    if as_json:
        print_json(made)
        return
    click.echo(made["key"])
    say("shown this once; send it as  Authorization: Bearer KEY", err=True)
