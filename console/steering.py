"""The commands that ask bots for something: start, stop, restart, pause, resume, reset. One shape for all six."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option, yes_option

if TYPE_CHECKING:
    from console.attach import RemoteControl
    from console.control import Outcome

PAST: Final = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "pause": "paused",
    "resume": "resumed",
    "reset": "reset",
}


def make_command(action: str, short_help: str, long_help: str, *examples_: str) -> click.Command:
    """Return the command of an action."""

    @click.command(action, short_help=short_help, help=long_help, epilog=examples(*examples_))
    @click.argument("bots", metavar="[BOT]...", nargs=-1)
    @fleet_option
    @env_option
    @click.option("--all", "every", is_flag=True, help="Every bot of the fleet.")
    @click.option("--reason", default="", help="Why; written down with the intent.")
    @click.option("--wait", is_flag=True, help="Return when the bots are there (exit code 124 when not in time).")
    @click.option(
        "--timeout", default=60.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds for --wait."
    )
    @yes_option
    @json_option
    def command(
        bots: tuple[str, ...],
        root: Path,
        environment: str | None,
        every: bool,
        reason: str,
        wait: bool,
        timeout: float,
        yes: bool,
        as_json: bool,
    ) -> int:
        from console.asking import ask

        selectors = chosen(bots, every=every)
        if not yes and is_bulk(selectors):
            confirm(action, ask(root, environment, lambda remote: targets(remote, selectors)))
        patience_s = timeout if wait else None
        outcomes, missing = ask(
            root, environment, lambda remote: steer(remote, action, selectors, reason=reason, patience_s=patience_s)
        )
        report(action, outcomes, missing, as_json=as_json)
        return verdict(outcomes, missing)

    return command


def chosen(bots: tuple[str, ...], *, every: bool) -> list[str]:
    """Return the selectors asked for. Raises UsageError for none, or for --all beside names."""
    if every and bots:
        raise click.UsageError("name bots or say --all, not both")
    if not every and not bots:
        raise click.UsageError("name a bot, a glob such as 'shop-*', or say --all")
    return ["*"] if every else list(bots)


def is_bulk(selectors: Sequence[str]) -> bool:
    """Tell whether a selection may mean more bots than its writer thinks of."""
    return any(sign in selector for selector in selectors for sign in "*?[")


async def targets(remote: RemoteControl, selectors: Sequence[str]) -> list[str]:
    """Return the bots a selection means now. Raises NoSuchBot."""
    from console.control import matching

    known = [row["bot_id"] for row in (await remote.status())["bots"]]
    return list(dict.fromkeys(bot_id for selector in selectors for bot_id in matching(selector, known)))


def confirm(action: str, bot_ids: Sequence[str]) -> None:
    """Ask a person; without a terminal there is nobody to ask. Raises UsageError, Abort."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{action} of {len(bot_ids)} bots needs --yes, as there is no terminal to ask on")
    shown = ", ".join(bot_ids[:12]) + (f" and {len(bot_ids) - 12} more" if len(bot_ids) > 12 else "")
    click.confirm(f"{action} {len(bot_ids)} bots ({shown})?", abort=True, err=True)


async def steer(
    remote: RemoteControl, action: str, selectors: Sequence[str], *, reason: str, patience_s: float | None
) -> tuple[list[Outcome], dict[str, str]]:
    """Ask; with patience, wait too. Returns the outcomes, and bot_id → phase of those that are not there."""
    from console.asking import actor
    from console.control import Action

    outcomes = await remote.steer(Action(action), selectors, actor=actor(), reason=reason)
    done = [outcome["bot_id"] for outcome in outcomes if outcome["ok"]]
    if patience_s is None or not done:
        return outcomes, {}
    return outcomes, await _wait(remote, action, done, min(o["at"] for o in outcomes), patience_s)


async def _wait(
    remote: RemoteControl, action: str, bot_ids: list[str], asked_at: float, patience_s: float
) -> dict[str, str]:
    from config.vocabulary import Phase

    wanted = Phase.STOPPED if action == "stop" else Phase.RUNNING
    # Waiting ends early where waiting is useless; what is not as wanted then is told apart below.
    ends = {Phase.STOPPED, Phase.DISABLED, Phase.INVALID} | (
        {wanted} if action == "stop" else {wanted, Phase.QUARANTINED}
    )
    since = asked_at if action == "restart" else 0.0
    late = await remote.wait(bot_ids, ends, timeout_s=patience_s, since=since)
    rows = {row["bot_id"]: row for row in (await remote.status())["bots"]}
    there = {wanted, Phase.DISABLED} if action == "stop" else {wanted}
    return {b: "late" if b in late else rows[b]["phase"] for b in bot_ids if b in late or rows[b]["phase"] not in there}


def report(action: str, outcomes: Sequence[Outcome], missing: dict[str, str], *, as_json: bool) -> None:
    """Print what became of every bot."""
    from console.output import print_json, visible

    if as_json:
        print_json({"action": action, "outcomes": outcomes, "missing": missing})
        return
    for outcome in outcomes:
        bot_id = visible(outcome["bot_id"])
        if not outcome["ok"]:
            hint = f" ({outcome['hint']})" if outcome["hint"] else ""
            click.echo(f"error: {bot_id}: {visible(outcome['message'] + hint)}", err=True)
        elif bot_id not in missing:
            click.echo(f"{bot_id}: {PAST[action]}")
    for bot_id, phase in missing.items():
        why = "not there in time" if phase == "late" else f"is {phase}"
        click.echo(f"error: {visible(bot_id)}: {why} (`botdeck status` says more)", err=True)
    if not outcomes:
        click.echo("the fleet has no bots", err=True)


def verdict(outcomes: Sequence[Outcome], missing: dict[str, str]) -> int:
    """Return the exit code of an action."""
    failed = [outcome for outcome in outcomes if not outcome["ok"]]
    if failed:
        if len(failed) < len(outcomes):
            return exits.PARTLY
        return exits.UNKNOWN if all(o["error"] == "no_such_bot" for o in failed) else exits.FAILURE
    if "late" in missing.values():
        return exits.TIMED_OUT
    return exits.NOT_RUNNING if missing else exits.OK
