"""What a command costs, as a multiple of a bare interpreter that imports asyncio, measured beside it.

Times mean nothing on a machine that is shared; two costs taken in turn on the same machine do.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

YARDSTICK_S: Final = 0.065
"""CPU of the bare interpreter on the machine the promises were measured on."""


def in_yardsticks(*arguments: str, rounds: int = 3) -> float:
    """Return what `python ARGUMENTS` costs in CPU, the cheapest of the rounds, in yardsticks."""
    cheapest = {"bare": float("inf"), "command": float("inf")}
    for _ in range(rounds):
        for name, given in (("bare", ("-c", "import asyncio")), ("command", arguments)):
            cheapest[name] = min(cheapest[name], _cpu_s(given))
    return cheapest["command"] / cheapest["bare"]


def _cpu_s(arguments: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
