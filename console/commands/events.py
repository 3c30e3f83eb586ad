"""`botdeck events`: what happened, and who did it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console import exits
from console.options import env_option, examples, fleet_option, follow_option, json_option, since_option, tail_option

if TYPE_CHECKING:
    from console.control import EventLine


@click.command(
    "events",
    short_help="Show or follow what happened, and who did it.",
    epilog=examples(
        "botdeck events --follow", "botdeck events support --kind BotFailed --since 2d", "botdeck events --json"
    ),
)
@click.argument("bots", metavar="[BOT]...", nargs=-1)
@fleet_option
@env_option
@follow_option
@tail_option
@since_option
@click.option(
    "--kind", "kinds", metavar="KIND", multiple=True, help="Only this kind (BotFailed, ReplySent, …); repeatable."
)
@json_option
def command(
    bots: tuple[str, ...],
    root: Path,
    environment: str | None,
    follow: bool,
    tail: int,
    since: str | None,
    kinds: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show events of BOTs (ids or globs), oldest first; without BOT those of all bots and of the fleet itself."""
    from console.asking import ask_either, moment, not_running
    from console.control import EventQuery
    from console.output import print_json_line
    from console.place import find
    from console.streaming import shown
    from workers.clock import SystemClock

    query = EventQuery(bots, tail, moment(since, SystemClock().now()) if since else 0.0, named(kinds))
    show = print_json_line if as_json else show_event
    lines = ask_either(
        root,
        environment,
        lambda remote: shown(remote.follow_events(query), show) if follow else remote.events(query),
        lambda offline: offline.events(query),
    )
    for line in lines:
        show(line)
    if follow:
        raise not_running(find(root, environment))
    return exits.OK


def named(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds as they are written, whatever case they were asked in. Raises UsageError for an unknown one."""
    from store.events import KINDS

    spelled = {kind.lower(): kind for kind in KINDS}
    unknown = [kind for kind in kinds if kind.lower() not in spelled]
    if unknown:
        raise click.UsageError(f"no such kind of event: {unknown[0]}. There are: {', '.join(sorted(KINDS))}.")
    return tuple(spelled[kind.lower()] for kind in kinds)


def show_event(line: EventLine) -> None:
    """Print an event on one line."""
    from console.output import clock_time, say

    words = " ".join(f"{name}={_word(value)}" for name, value in line["data"].items())
    say(f"{clock_time(line['at'])} {line['bot_id']}  {line['kind']}  {words}".rstrip())


def _word(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return repr(text) if " " in text or not text else text
