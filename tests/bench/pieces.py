"""What was measured, piece by piece, in results/latest.json: a piece can be taken anew and the others stand."""

from __future__ import annotations

import json
import platform
import sqlite3
import time
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.measure import machine
from tests.bench.stage import Figures

LATEST = Path(__file__).parent / "results" / "latest.json"
ALL = ("rest", "turns", "latency", "growth", "edits", "model", "chat", "registered", "http")
"""The pieces the table is made of."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece. quick: small fleets, one round, only to see that it runs. day: ISO, UTC; where: machine and versions."""

    figures: Figures
    quick: bool
    day: str
    took_s: float
    where: str


Pieces = Mapping[str, Piece]


def take(piece: Coroutine[Any, Any, Figures], *, quick: bool) -> Piece:
    """Measure a piece."""
    began = time.monotonic()
    figures = uvloop.run(piece)
    where = f"{machine()}, CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return Piece(figures, quick, datetime.now(UTC).date().isoformat(), round(time.monotonic() - began, 1), where)


def load() -> dict[str, Piece]:
    """Return what the runs before this one have kept."""
    if not LATEST.exists():
        return {}
    return {name: Piece(**found) for name, found in json.loads(LATEST.read_text()).items()}


def keep(pieces: Pieces) -> None:
    """Write down what there is so far."""
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps({name: asdict(piece) for name, piece in pieces.items()}, indent=2))


def why_unfit(kept: Pieces, names: Collection[str], *, quick: bool) -> str:
    """Return why the document may not have the table of the pieces kept and those to be taken now; "" when it may."""
    if quick:
        return "a quick run is not written into the document: leave --quick or --write out"
    if small := [name for name in ALL if name in kept and kept[name].quick and name not in names]:
        return f"not to be written, kept of a quick run: {', '.join(small)}; take them too: --add --write {' '.join(small)}"
    if not {*kept, *names} & {*ALL}:
        return f"nothing to be written: no piece of the table ({', '.join(ALL)})"
    return ""
