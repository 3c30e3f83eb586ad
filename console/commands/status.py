"""`botdeck status`: every bot, worst first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from console.control import BotRow, FleetRow, Status


@click.command(
    "status",
    short_help="Show every bot: phase, conditions, counters.",
    epilog=examples(
        "botdeck status -C mybots", "botdeck status --json | jq '.bots[].phase'", "botdeck status --strict"
    ),
)
@fleet_option
@env_option
@json_option
@click.option("--strict", is_flag=True, help="Also fail (exit code 3) when a bot that runs is degraded.")
def command(root: Path, environment: str | None, as_json: bool, strict: bool) -> int:
    """Show every bot, those that need a person first.

    Exit code 0: all is as wanted. 3: a bot that should run does not, or the database refuses writes. 4: the fleet
    does not run; what is shown then is what was last written down.
    """
    from console.asking import ask_either
    from console.output import print_json

    status = ask_either(root, environment, lambda remote: remote.status(), lambda offline: offline.status())
    if as_json:
        print_json(status)
    else:
        show(status)
    return verdict(status, strict=strict)


def verdict(status: Status, *, strict: bool) -> int:
    """Return the exit code a status amounts to."""
    from console.judgement import degraded, falls_short

    if not status["fleet"]["running"]:
        return exits.UNKNOWN
    short = (
        any(map(falls_short, status["bots"]))
        or bool(status["fleet"]["store_fault"])
        or (strict and any(map(degraded, status["bots"])))
    )
    return exits.NOT_RUNNING if short else exits.OK


def show(status: Status) -> None:
    """Print a status for people."""
    from console.judgement import worst_first
    from console.output import fit, say, table
    from workers.clock import SystemClock

    now = SystemClock().now()
    say(headline(status["fleet"], now))
    for error in status["fleet"]["config_errors"]:
        say(f"configuration: {error}")
    if status["bots"]:
        header = ("BOT", "PHASE", "FOR", "POLL", "INBOX", "OUTBOX", "TURNS", "ERRORS", "RESTARTS", "NOTE")
        rows = [cells(row, now) for row in worst_first(status["bots"])]
        # The note comes last and may be long: `bot info` and --json have the whole of it.
        click.echo(_painted(fit(table(header, rows, right=range(2, 9))), worst_first(status["bots"])))


def headline(fleet: FleetRow, now: float) -> str:
    """Return the fleet in a sentence, fit for a terminal."""
    from console.output import ago, visible

    counts = ", ".join(f"{count} {phase}" for phase, count in fleet["phases"].items()) or "no bots"
    name = fleet["name"]
    if not fleet["running"]:
        return visible(f"{name}: does not run; last written down: {counts}")
    up = ago(now - (fleet["started_at"] or now))
    trouble = "".join(
        [
            "; HELD: half of the fleet fails alike, failures are not counted" if fleet["held"] else "",
            f"; DATABASE: {fleet['store_fault']}" if fleet["store_fault"] else "",
            f"; NETWORK: {outage}" if (outage := fleet.get("outage")) else "",
        ]
    )
    return visible(f"{name}: runs (pid {fleet['pid']}, up {up}, botdeck {fleet['version']}); {counts}{trouble}")


def cells(row: BotRow, now: float) -> tuple[str, ...]:
    """Return one line of the table."""
    from console.output import ago

    phase = f"{row['phase']} (paused)" if row["paused"] else row["phase"]
    since = ago(now - row["since"]) if row["since"] else "-"
    counters = (row[name] for name in ("inbox_open", "outbox_open", "turns", "errors", "restarts"))
    return (row["bot_id"], phase, since, ago(row["last_poll_age_s"]), *map(str, counters), note(row, now))


def note(row: BotRow, now: float) -> str:
    """Return the one thing to know about a bot: why it is where it is, else the worst of its conditions."""
    from console.judgement import falls_short, troubles
    from console.output import ago

    retry = f"; next try in {ago(row['retry_at'] - now)}" if row["retry_at"] else ""
    found = troubles(row)
    if falls_short(row) and row["phase_reason"]:
        return row["phase_reason"] + retry
    return found[0] if found else (row["phase_reason"] + retry if retry else "")


def _painted(text: str, rows: list[BotRow]) -> str:
    """Colour the lines of bots that need a person, where colours are wanted."""
    from console.judgement import degraded, falls_short
    from console.output import style

    header, *lines = text.split("\n")
    colours = ("red" if falls_short(row) else "yellow" if degraded(row) else None for row in rows)
    return "\n".join([style(header, bold=True), *(style(line, fg=c) for line, c in zip(lines, colours, strict=True))])
