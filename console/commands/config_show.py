"""`botdeck config show`: the effective configuration of a bot, secrets masked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from config.load import Snapshot


@click.command(
    "show",
    short_help="Show the effective configuration of a bot.",
    epilog=examples("botdeck config show support --origin", "botdeck config show support --env production --json"),
)
@click.argument("bot")
@fleet_option
@env_option
@click.option("--origin", is_flag=True, help="Say of each value which file and line it comes from.")
@json_option
def command(bot: str, root: Path, environment: str | None, origin: bool, as_json: bool) -> int:
    """Show what BOT runs with once every layer is merged and every reference made good. Secrets are masked."""
    from config.load import Loader
    from config.show import as_json as json_of
    from config.show import as_text
    from console.output import print_json, say_lines

    snapshot = Loader(root, environment=environment).load()
    spec = snapshot.bots.get(bot)
    if spec is None:
        return _explain(snapshot, bot)
    if as_json:
        print_json(json_of(spec, snapshot.secrets, snapshot.root))
    else:
        text = as_text(spec, snapshot.secrets, snapshot.root, origin=origin)
        say_lines(text)
    return exits.OK


def _explain(snapshot: Snapshot, bot: str) -> int:
    """Say why there is nothing to show: the file is bad, or there is none."""
    from difflib import get_close_matches

    from config.errors import ConfigInvalid
    from workers.errors import NoSuchBot

    problems = snapshot.problems_of(bot) or snapshot.fleet_problems
    if problems:
        raise ConfigInvalid(problems)
    near = get_close_matches(bot, snapshot.bots, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see `botdeck bot list`"
    raise NoSuchBot(f"there is no bot {bot!r} in {snapshot.root}", hint)
