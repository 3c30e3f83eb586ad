"""Reading what the kernel knows of a process: CPU seconds, memory, descriptors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. cpu_s is user + system of all threads; rss_kib is the resident set."""

    cpu_s: float
    rss_kib: int
    descriptors: int


def sample(pid: int) -> Sample:
    """Read a running process. Raises FileNotFoundError when it is gone."""
    process = Path("/proc") / str(pid)
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    pages = int((process / "statm").read_text().split()[1])
    cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
    return Sample(cpu_s, pages * os.sysconf("SC_PAGE_SIZE") // 1024, len(list((process / "fd").iterdir())))


def pss_kib(pid: int) -> int:
    """Return a process's proportional set size: what it shares with others is counted in parts."""
    rollup = (Path("/proc") / str(pid) / "smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def machine() -> str:
    """Describe this machine in a line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown processor",
    )
    return f"{os.cpu_count()} cores, {model}, Linux {os.uname().release}"
