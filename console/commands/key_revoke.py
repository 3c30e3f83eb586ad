"""`botdeck key revoke`: a key of the HTTP API that is to open nothing any more."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "revoke",
    short_help="Let a key of the HTTP API be good no more.",
    epilog=examples("botdeck key revoke shop", "botdeck key revoke Xy12ab9Z --json"),
)
@click.argument("key")
@fleet_option
@env_option
@json_option
def command(key: str, root: Path, environment: str | None, as_json: bool) -> None:
    """Revoke KEY, by its name or id. The next request with it is refused, and streams it opened end."""
    from console.asking import actor, ask_either
    from console.output import print_json, say

    gone = ask_either(
        root,
        environment,
        lambda remote: remote.key_revoke(key, actor=actor()),
        lambda offline: offline.key_revoke(key),
    )
    if as_json:
        print_json(gone)
    else:
        say(f"{gone['name']} ({gone['key_id']}) is revoked")
