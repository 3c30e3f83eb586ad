"""The fleet that is soaked: `python -m tests.soak.subject FOLDER REPORT`, run as `botdeck run --no-ui`.

What cannot be seen from outside, the number of tasks and how late the loop is, is written into REPORT twice a second.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from console.headless import run_fleet
from workers.channels import open_channel

LOOK_S: Final = 0.05
LOOKS: Final = 10
"""After so many looks at the loop the report is written anew."""


class Teller:
    """Company of a fleet that tells how many tasks there are, and the worst lag of the loop since the last time."""

    def __init__(self, report: Path) -> None:
        self._report = report

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *how: object) -> None:
        return None

    def open_channel(self, *arguments: Any) -> Any:
        return open_channel(*arguments)

    async def run(self) -> None:
        while True:
            worst = 0.0
            for _ in range(LOOKS):
                before = time.monotonic()
                await asyncio.sleep(LOOK_S)
                worst = max(worst, time.monotonic() - before - LOOK_S)
            self._tell({"tasks": len(asyncio.all_tasks()), "lag_ms": round(worst * 1000, 1)})

    def _tell(self, seen: dict[str, float]) -> None:
        partial = self._report.with_suffix(".partial")
        partial.write_text(json.dumps(seen))
        partial.replace(self._report)


if __name__ == "__main__":
    sys.exit(run_fleet(Path(sys.argv[1]), company=Teller(Path(sys.argv[2]))))
