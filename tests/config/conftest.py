"""A fleet's folder to write files into and load."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from config.errors import Problem
from config.load import Loader
from config.snapshot import Snapshot

TOKEN = "100001:" + "A" * 35


@dataclass
class Folder:
    """One fleet's folder and the process environment it is loaded with."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        if name == ".env":
            path.chmod(0o600)
        return path

    def bot(self, bot_id: str, text: str = "") -> Path:
        """Write a bot that needs no token unless text says otherwise."""
        text = dedent(text)
        return self.write(f"bots/{bot_id}.toml", text if "channel" in text else 'channel = "none"\n' + text)

    def loader(self, **options: Any) -> Loader:
        return Loader(self.root, environ=self.environ, **options)

    def load(self, **options: Any) -> Snapshot:
        return self.loader(**options).load()

    def problems(self, **options: Any) -> tuple[Problem, ...]:
        return self.load(**options).problems

    def problem(self, **options: Any) -> Problem:
        """Return the one problem there is."""
        (problem,) = self.problems(**options)
        return problem


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "bots").mkdir()
    return Folder(tmp_path)


@pytest.fixture
def token() -> str:
    """A token of the right shape."""
    return TOKEN
