"""`botdeck doctor`: what could keep a fleet from running, looked for before it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from config.load import Snapshot

LOW_DISK_BYTES: Final = 512 * 1024 * 1024
DESCRIPTORS_BESIDE_BOTS: Final = 200
MARKS: Final = {"ok": "ok   ", "warning": "warn ", "failure": "FAIL "}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: result is ok, warning or failure."""

    check: str
    result: str
    text: str
    hint: str = ""


@click.command(
    "doctor",
    short_help="Look for what could keep a fleet from running.",
    epilog=examples("botdeck doctor -C mybots", "botdeck doctor --no-network --json"),
)
@fleet_option
@env_option
@click.option(
    "--network/--no-network", default=True, show_default=True, help="Ask Telegram whether the tokens are good."
)
@json_option
def command(root: Path, environment: str | None, network: bool, as_json: bool) -> int:
    """Look at the machine, the folder, the database, the descriptors and the tokens. Exit code 1 when something fails."""
    from console.output import print_json, say

    findings = list(examine(root, environment, network=network))
    if as_json:
        print_json([{"check": f.check, "result": f.result, "text": f.text, "hint": f.hint} for f in findings])
    else:
        for finding in findings:
            say(f"{MARKS[finding.result]}{finding.check}: {finding.text}")
            if finding.hint and finding.result != "ok":
                say(f"     {finding.hint}")
    return exits.FAILURE if any(f.result == "failure" for f in findings) else exits.OK


def examine(root: Path, environment: str | None, *, network: bool) -> Iterator[Finding]:
    """Yield what is found, cheapest first."""
    from config.load import Loader

    yield from _machine()
    snapshot = Loader(root, environment=environment).load()
    yield from _files(snapshot)
    yield from _folder(snapshot)
    yield _descriptors(snapshot)
    yield from _owner(snapshot, root, environment)
    if network:
        yield from _tokens(snapshot)


def _machine() -> Iterator[Finding]:
    import platform
    import sqlite3
    from importlib.util import find_spec

    yield Finding("python", "ok", f"{platform.python_implementation()} {platform.python_version()}")
    yield Finding("sqlite", "ok", sqlite3.sqlite_version)
    if find_spec("uvloop"):
        yield Finding("uvloop", "ok", "present")
    else:
        yield Finding(
            "uvloop", "warning", "not installed: a busy fleet takes about twice the CPU", "pip install uvloop"
        )


def _files(snapshot: Snapshot) -> Iterator[Finding]:
    for problem in snapshot.problems:
        yield Finding("configuration", "failure", str(problem))
    for warning in snapshot.warnings:
        yield Finding("configuration", "warning", str(warning))
    if not snapshot.problems:
        yield Finding(
            "configuration", "ok" if snapshot.bots else "warning", f"{len(snapshot.bots)} bots in {snapshot.root}"
        )
    env = snapshot.root / ".env"
    if env.exists() and env.stat().st_mode & 0o077:
        yield Finding(".env", "warning", f"{env} can be read by others", f"chmod 600 {env}")


def _folder(snapshot: Snapshot) -> Iterator[Finding]:
    import os
    import shutil

    from store.errors import StoreError
    from store.lineage import refuse_foreign_log
    from store.suitable import refuse_special

    try:
        refuse_special(snapshot.database)
        refuse_foreign_log(snapshot.database)
    except StoreError as error:
        yield Finding("database", "failure", error.message, error.hint)
        return
    folder = snapshot.database.parent
    if not folder.is_dir():
        yield Finding("database", "warning", f"{folder} does not exist yet; it will be made")
        return
    place = snapshot.database if snapshot.database.exists() else folder
    if not os.access(place, os.W_OK):
        yield Finding("database", "failure", f"{place} cannot be written", "check its permissions")
    else:
        yield Finding("database", "ok", f"{snapshot.database}")
    free = shutil.disk_usage(folder).free
    result = "ok" if free >= LOW_DISK_BYTES else "warning"
    yield Finding("disk", result, f"{free // 2**20} MiB free", "bots stop taking messages when the disk is full")


def _descriptors(snapshot: Snapshot) -> Finding:
    import resource

    needed = len(snapshot.bots) + DESCRIPTORS_BESIDE_BOTS
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = hard in {-1, resource.RLIM_INFINITY} or hard >= needed
    hint = f"raise the hard limit to {needed} or more (ulimit -Hn, LimitNOFILE=)"
    return Finding("descriptors", "ok" if enough else "failure", f"limit {hard}, this fleet needs about {needed}", hint)


def _owner(snapshot: Snapshot, root: Path, environment: str | None) -> Iterator[Finding]:
    from console.lock import owner_of

    owner = owner_of(snapshot.database)
    yield Finding("fleet", "ok", f"runs, pid {owner.pid}" if owner else "does not run")
    if owner is None:
        return
    from config.errors import FleetError
    from console.asking import ask

    try:
        fault = ask(root, environment, lambda remote: remote.status())["fleet"]["store_fault"]
    except FleetError as error:
        yield Finding("fleet", "warning", f"does not answer: {error}")
        return
    if fault:
        yield Finding(
            "database", "failure", f"the running fleet is refused by it: {fault}", "the bots wait until it is over"
        )


def _tokens(snapshot: Snapshot) -> Iterator[Finding]:
    import anyio

    from config.errors import FleetError
    from console.identify import identify_all
    from workers.redaction import Redactor

    bots = {b: s.config for b, s in snapshot.bots.items() if s.config.channel == "telegram" and s.config.enabled}
    for bot_id, answer in sorted(anyio.run(identify_all, bots, Redactor(snapshot.secrets).clean).items()):
        if isinstance(answer, FleetError):
            yield Finding(f"token of {bot_id}", "failure", answer.message)
        else:
            yield Finding(f"token of {bot_id}", "ok", f"@{answer.username} ({answer.id})")
