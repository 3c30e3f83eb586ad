"""Storage at full length: `python -m tests.storage power` cuts the power everywhere, `… large` fills gigabytes.

Both end with 1 when something does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from store import jobs
from tests.storage import large, vfs
from tests.storage.power import Report, acknowledging_early, record, survey


def faults_of(chance: random.Random) -> list[tuple[str, str, int, int]]:
    """Return some faults of the device at moments of chance."""
    kinds = [
        ("sync", "-wal", vfs.IO_SYNC, 40),
        ("sync", ".db", vfs.IO_SYNC, 4),
        ("write", "-wal", vfs.IO_WRITE, 150),
        ("write", "-wal", vfs.FULL, 150),
        ("write", ".db", vfs.IO_WRITE, 40),
        ("truncate", ".db", vfs.IO_TRUNCATE, 4),
    ]
    return [(what, name, code, chance.randrange(most)) for what, name, code, most in chance.sample(kinds, 3)]


async def one(folder: Path, what: str, seed: int) -> Report:
    """Record one history and cut the power everywhere in it."""
    made = folder / f"{what}{seed}"
    made.mkdir()
    faults = faults_of(random.Random(seed)) if what == "faults" else ()
    durability = "normal" if what == "normal" else "full"
    prepare = acknowledging_early if what == "early" else (lambda _: None)
    disk = await record(made, turns=8, durability=durability, prepare=prepare, faults=faults)
    return await survey(disk, folder / "left", seed=seed, every=3, variants=4)


async def power(folder: Path, seeds: int) -> int:
    """Print what was tried; return 1 when a store that should hold loses something, or one that should not does not."""
    bad = False
    for what in ("full", "faults", "normal", "early"):
        began, total = time.perf_counter(), Report()
        for seed in range(1 if what in {"normal", "early"} else seeds):
            report = await one(folder, what, seed)
            for name in ("steps", "syncs", "cuts", "acknowledged"):
                setattr(total, name, getattr(total, name) + getattr(report, name))
            total.wrong += report.wrong
        print(
            f"{what}: {total.acknowledged} acknowledgements, {total.syncs} syncs, {total.cuts} power cuts:"
            f" {len(total.wrong)} wrong; {time.perf_counter() - began:.0f} s",
            *total.wrong[:3],
            sep="\n  ",
            flush=True,
        )
        bad |= bool(total.wrong) != (what in {"normal", "early"})
    return int(bad)


def main() -> int:
    """Run what is asked for, in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(prog="python -m tests.storage", description=__doc__)
    parser.add_argument("what", choices=("power", "large"))
    parser.add_argument("--seeds", type=int, default=5, help="histories to record")
    parser.add_argument("--scale", type=float, default=1.0, help="1.0: ten million messages, some 2.5 GB")
    parser.add_argument("--folder", type=Path, help="where to put the files; default: the system's temporary folder")
    asked = parser.parse_args()
    jobs.CHECKPOINT_JOBS = 40 if asked.what == "power" else jobs.CHECKPOINT_JOBS  # type: ignore[misc]
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        if asked.what == "large":
            return asyncio.run(large.run(Path(name), asked.scale))
        if reason := vfs.missing():
            print(reason)
            return 1
        return asyncio.run(power(Path(name), asked.seeds))


if __name__ == "__main__":
    sys.exit(main())
