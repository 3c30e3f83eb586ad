"""Spoil the files of a fleet in thousands of ways and see that each is loaded or refused with a place, never a traceback.

`python -m tests.hostile [--files N] [--seed N]`

Every file depends on the seed and its own number only: `--only 4711` makes that one again and prints it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from config.snapshot import Snapshot
from tests.hostile.judging import judge
from tests.hostile.seeds import Fleet, fleets
from tests.hostile.spoil import spoil


@dataclass
class Tally:
    """What came of many files."""

    valid: int = 0
    refused: int = 0
    broken: list[str] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)
    messages: set[str] = field(default_factory=set)
    slowest: tuple[float, int] = (0.0, 0)


def spoiled(seed: int, number: int) -> tuple[Fleet, tuple[str, ...]]:
    """Return the fleet of this number, and how it was spoiled."""
    chance = random.Random(f"{seed}:{number}")
    fleet = chance.choice(fleets())
    data, ways = spoil(chance, fleet.texts[fleet.target])
    return fleet.spoiled(data), ways


def campaign(root: Path, seed: int, numbers: Iterator[int] | range, tally: Tally) -> Tally:
    """Judge the fleets of these numbers, each also against the last good one."""
    before: Snapshot | None = None
    for number in numbers:
        fleet, ways = spoiled(seed, number)
        tally.ways.update(ways)
        began = time.perf_counter()
        try:
            verdict = judge(root, fleet, before)
        except Exception:
            tally.broken.append(f"file {number} ({fleet.target}, {', '.join(ways)}):\n{traceback.format_exc(limit=-4)}")
            continue
        tally.slowest = max(tally.slowest, (time.perf_counter() - began, number))
        tally.broken += [f"file {number} ({fleet.target}, {', '.join(ways)}): {text}" for text in verdict.broken]
        tally.messages |= {problem.message[:30] for problem in verdict.snapshot.problems}
        tally.valid += verdict.valid
        tally.refused += not verdict.valid
        before = verdict.snapshot if verdict.valid else before
    return tally


def main() -> int:
    """Run the campaign asked for; 0 = every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other files (1)")
    parser.add_argument("--only", type=int, help="the file of this number, printed")
    asked = parser.parse_args()
    numbers = range(asked.files) if asked.only is None else range(asked.only, asked.only + 1)
    if asked.only is not None:
        fleet, ways = spoiled(asked.seed, asked.only)
        print(fleet.target, ways, fleet.texts[fleet.target][:4000], sep="\n")
    with tempfile.TemporaryDirectory(prefix="botdeck-hostile-") as folder:
        tally = campaign(Path(folder), asked.seed, numbers, Tally())
    print(*tally.broken[:20], sep="\n")
    print(f"{len(numbers)} files: {tally.valid} valid, {tally.refused} refused, {len(tally.broken)} promises broken")
    print(
        f"{len(tally.messages)} different messages; slowest {tally.slowest[0] * 1000:.0f} ms (file {tally.slowest[1]})"
    )
    print(", ".join(f"{name} {count}" for name, count in tally.ways.most_common()))
    return int(bool(tally.broken))


if __name__ == "__main__":
    sys.exit(main())
