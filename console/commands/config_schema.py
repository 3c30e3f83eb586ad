"""`botdeck config schema`: JSON Schema of the files, for editors."""

from __future__ import annotations

import click

from console.options import examples


@click.command(
    "schema",
    short_help="Print the JSON Schema of fleet.toml or a bot file.",
    epilog=examples("botdeck config schema bot > bot.schema.json", "botdeck config schema fleet"),
)
@click.argument("file", type=click.Choice(["bot", "fleet", "environment"]), default="bot")
def command(file: str) -> None:
    """Print the JSON Schema of FILE: bot (bots/*.toml), fleet (fleet.toml) or environment (environments/*.toml)."""
    from config import reference
    from console.output import print_json

    made = {"bot": reference.bot_schema, "fleet": reference.fleet_schema, "environment": reference.environment_schema}
    print_json(made[file]())
