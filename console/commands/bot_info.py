"""`botdeck bot info`: all that is known of one bot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from console.options import env_option, examples, fleet_option, json_option


@click.command(
    "info",
    short_help="Show all that is known of one bot.",
    epilog=examples("botdeck bot info support -C mybots", "botdeck bot info support --json"),
)
@click.argument("bot")
@fleet_option
@env_option
@json_option
def command(bot: str, root: Path, environment: str | None, as_json: bool) -> None:
    """Show BOT's phase, conditions, counters, failures, usage and last events."""
    from console.asking import ask_either
    from console.output import print_json

    info = ask_either(root, environment, lambda remote: remote.bot(bot), lambda offline: offline.bot(bot))
    if as_json:
        print_json(info)
    else:
        show(info)


def show(info: dict[str, Any]) -> None:
    """Print the whole of a bot for people."""
    from console.commands.events import show_event
    from console.output import say

    running = "" if info["running"] else " (last written down; the fleet does not run)"
    say(f"{info['bot_id']}: {info['phase']}{running}")
    for name, value in _facts(info):
        say(f"  {name:<16} {value}")
    for name, state in info["conditions"].items():
        reason = f": {state['reason']}" if state.get("reason") else ""
        say(f"  {name:<16} {_status(state['status'])}{reason}")
    for total in info.get("usage", []):
        tokens = f"{total['input_tokens']} in, {total['output_tokens']} out, {total['cached_tokens']} cached"
        who = f"{total['provider']}/{total['model']}".rstrip("/")
        say(f"  {'usage':<16} {who}: {total['calls']} calls, {tokens}")
    if info["events"]:
        say("last events:")
    for event in info["events"]:
        show_event(event)


def _facts(info: dict[str, Any]) -> list[tuple[str, str]]:
    from console.output import clock_time

    telegram = info["telegram"]
    facts = {
        "name": info["name"],
        "reason": info["phase_reason"],
        "since": clock_time(info["since"]) if info["since"] else "",
        "next try": clock_time(info["retry_at"]) if info["retry_at"] else "",
        "wanted": info["desired"] + (", paused" if info["paused"] else ""),
        "telegram": f"@{telegram['username']} ({telegram['id']})" if telegram else "",
        "file": info.get("file", ""),
        "generation": f"{info['generation']} (runs {info['observed_generation']})",
        "config error": info["config_error"] or "",
        "open": f"{info['inbox_open']} updates, {info['outbox_open']} sends",
        "turns": f"{info['turns']} ({info['errors']} without an answer)",
        "restarts": str(info["restarts"]),
        "uncertain sends": str(info["ambiguous_sends"]) if info["ambiguous_sends"] else "",
    }
    return [(name, text) for name, text in facts.items() if text]


def _status(status: bool | None) -> str:
    return {True: "yes", False: "no", None: "not known"}[status]
