"""`botdeck key list`: the keys of the HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from console.keyholding import KeyAnswer


@click.command(
    "list",
    short_help="List the keys of the HTTP API.",
    epilog=examples("botdeck key list", "botdeck key list --all --json"),
)
@fleet_option
@env_option
@click.option("--all", "all_", is_flag=True, help="Those that are revoked or expired too.")
@json_option
def command(root: Path, environment: str | None, all_: bool, as_json: bool) -> None:
    """List keys by name and id, with what they may and when they were last used. No key itself is shown."""
    from console.asking import ask_either
    from console.output import fit, print_json, table

    found = ask_either(root, environment, lambda remote: remote.keys(), lambda offline: offline.keys())
    shown = [key for key in found if all_ or key["good"]]
    if as_json:
        print_json(shown)
        return
    header = ("NAME", "ID", "SCOPE", "CLIENT", "STATE", "LAST USED", "MADE", "BY")
    click.echo(fit(table(header, map(_row, shown))) if shown else "there is no key")


def _row(key: KeyAnswer) -> tuple[str, ...]:
    from console.output import clock_time

    client = key["client_id"]
    used = clock_time(key["used_at"]) if key["used_at"] is not None else "never"
    made = clock_time(key["created_at"])
    return (key["name"], key["key_id"], key["scope"], client or "-", _state(key), used, made, key["by"] or "-")


def _state(key: KeyAnswer) -> str:
    from console.output import clock_time

    if key["revoked_at"] is not None:
        return "revoked"
    if key["expires_at"] is None:
        return "good"
    return f"{'until' if key['good'] else 'expired'} {clock_time(key['expires_at'])}"
