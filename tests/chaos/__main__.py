"""`make chaos`: kill a fleet at random moments, in calm and in storm, and hold it to its promises.

`python -m tests.chaos [--kills N] [--terms N] [--seed S] [--calm | --storm | --sigterm] [--within S]`
"""

from __future__ import annotations

import argparse
import platform
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import anyio
import uvloop  # noqa: F401 (the double must not be what is slow: fail here when it is missing)

from tests.bench.measure import machine
from tests.chaos.campaign import Plan, Report, run
from tests.chaos.table import lines_of, usual_start_s


def main() -> int:
    """Run what was asked for; 0 = every promise kept, 1 = not."""
    options = parse(sys.argv[1:])
    print(f"seed {options.seed}: `python -m tests.chaos --seed {options.seed}` plays it again; {machine()}")
    folder = Path(tempfile.mkdtemp(prefix="botdeck-chaos-"))
    reports: list[Report] = []
    try:
        for plan in plans(options):
            print(f"{plan.name}: {plan.ends} x {plan.number.name} ...", flush=True)
            reports.append(anyio.run(run, plan, folder / plan.name, backend_options={"use_uvloop": True}))
    finally:
        if all(report.kept for report in reports):
            shutil.rmtree(folder)
    return conclude(reports, folder, options.within)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill a fleet at random moments.")
    parser.add_argument("--kills", type=int, default=30, metavar="N", help="SIGKILLs of each campaign (30)")
    parser.add_argument("--terms", type=int, default=30, metavar="N", help="SIGTERMs (30)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), metavar="S", help="what chance does")
    parser.add_argument("--bots", type=int, default=20, metavar="N")
    parser.add_argument("--chats", type=int, default=200, metavar="N")
    parser.add_argument("--rate", type=float, default=60.0, metavar="R", help="messages a second (60)")
    parser.add_argument(
        "--within",
        type=float,
        default=2.0,
        metavar="S",
        help="a start answers so soon, by the median of each campaign (2 s)",
    )
    only = parser.add_mutually_exclusive_group()
    for name in ("calm", "storm", "sigterm"):
        only.add_argument(f"--{name}", action="store_const", const=name, dest="only", help=f"only {name}")
    return parser.parse_args(arguments)


def plans(options: argparse.Namespace) -> list[Plan]:
    """Return the campaigns asked for."""
    size = {"bots": options.bots, "chats": options.chats, "rate_per_s": options.rate}
    every = [
        Plan("calm", options.kills, options.seed, **size),
        Plan("storm", options.kills, options.seed, storm=True, **size),
        Plan("sigterm", options.terms, options.seed, signal.SIGTERM, **size),
    ]
    return [plan for plan in every if options.only in {None, plan.name}]


def conclude(reports: list[Report], folder: Path, within_s: float) -> int:
    """Print the table, what is wrong, and where to look then."""
    print("\n".join(["", *lines_of(reports, within_s), ""]))
    for report in reports:
        print(
            *[f"{report.plan.name}: {text}" for text in report.verdict.wrong[:50]],
            sep="\n",
            end="\n" * (not report.kept),
        )
    slow = [report for report in reports if usual_start_s(report) > within_s]
    for report in slow:
        print(
            f"{report.plan.name}: starts took {usual_start_s(report):.2f} s to their first answer (median);"
            f" the limit is {within_s:g} s"
        )
    if all(report.kept for report in reports):
        return int(bool(slow))
    print(f"fleets, logs and databases are kept in {folder} ({platform.node()})")
    return 1


if __name__ == "__main__":
    sys.exit(main())
