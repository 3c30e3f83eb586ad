"""`botdeck logs`: what bots wrote down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from console import exits
from console.options import env_option, examples, fleet_option, follow_option, json_option, since_option, tail_option

if TYPE_CHECKING:
    from console.control import LogLine

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_COLOURS: Final = {"warning": "yellow", "error": "red", "critical": "red"}


@click.command(
    "logs",
    short_help="Show or follow the log of bots.",
    epilog=examples(
        "botdeck logs support --follow", "botdeck logs 'shop-*' --since 10m --level warning", "botdeck logs --grep 429"
    ),
)
@click.argument("bots", metavar="[BOT]...", nargs=-1)
@fleet_option
@env_option
@follow_option
@tail_option
@since_option
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="The least level shown.")
@click.option("--grep", metavar="RE", default="", help="Only lines in which the regular expression is found.")
@json_option
def command(
    bots: tuple[str, ...],
    root: Path,
    environment: str | None,
    follow: bool,
    tail: int,
    since: str | None,
    level: str,
    grep: str,
    as_json: bool,
) -> int:
    """Show log lines of BOTs (ids or globs), oldest first; without BOT those of all bots and of the fleet itself."""
    from console.asking import ask_either, moment, not_running
    from console.control import LogQuery
    from console.output import print_json_line
    from console.place import find
    from console.rows import LEVELS as NUMBERS
    from console.streaming import shown
    from workers.clock import SystemClock

    begin = moment(since, SystemClock().now()) if since else 0.0
    query = LogQuery(bots, tail, begin, NUMBERS[level], grep)
    show = print_json_line if as_json else show_line
    lines = ask_either(
        root,
        environment,
        lambda remote: shown(remote.follow_logs(query), show) if follow else remote.logs(query),
        lambda offline: offline.logs(query),
    )
    for line in lines:
        show(line)
    if follow:
        raise not_running(find(root, environment))
    return exits.OK


def show_line(line: LogLine) -> None:
    """Print a log line, what else it says indented below it."""
    from console.output import clock_time, style, visible

    first, *rest = line["text"].splitlines() or [""]
    head = f"{clock_time(line['at'])} {line['level'].upper():<8} {line['bot_id']}  {first}"
    click.echo(style(visible(head), fg=_COLOURS.get(line["level"])))
    for part in (*rest, *line["exception"].splitlines()):
        click.echo(f"    {visible(part)}")
