"""What the benchmarks run: a double in its own process, fleets of any size on disk, subjects to be measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def token_of(number: int) -> str:
    """Return the token of one bot; the double takes any."""
    return f"{500_000 + number}:bench-token-{number:05}-aaaaaaaaaaaaaaaa"


def write_fleet(root: Path, base_url: str, bots: int, *, poll_s: int, durability: str = "full", **llm: Any) -> None:
    """Write a fleet of echo bots; starts are not paced, so that starting itself is measured."""
    (root / "bots").mkdir(parents=True, exist_ok=True)
    (root / "fleet.toml").write_text(
        f"""[fleet]\nname = "bench"\n[start]\nrate_per_s = 0\nmax_starting = 10000\n[store]\ndurability = "{durability}"\n"""
        f"""[log]\nlevel = "warning"\n[defaults.telegram]\nbase_url = "{base_url}"\npoll_timeout_s = {poll_s}\n"""
        f"""[defaults.llm]\nprovider = "echo"\n"""
    )
    for number in range(bots):
        text = f'[telegram]\ntoken = "{token_of(number)}"\n[prompts]\nsystem = "You are bot {number}."\n'
        (root / "bots" / f"bot{number:05}.toml").write_text(text)


@contextmanager
def running(command: Sequence[str], *, output: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a subject for the length of the block, then end it (by its pid only)."""
    env = os.environ | environment
    with output.open("wb") as log:
        process = subprocess.Popen([*command], cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def botdeck(root: Path) -> list[str]:
    """Return the command that runs a fleet."""
    return [sys.executable, "-m", "console", "run", "--no-ui", "-C", str(root)]


def peer(name: str, base_url: str, bots: int, tokens: Path, *, poll_s: int) -> list[str]:
    """Return the command that runs a peer with the same tokens."""
    tokens.write_text(json.dumps([token_of(n) for n in range(bots)]))
    if name == "raw":
        return [sys.executable, "-m", "tests.bench.raw", base_url, str(tokens), str(poll_s)]
    return [sys.executable, "-m", "tests.bench.peers", name, base_url, str(tokens), "--poll-s", str(poll_s)]
