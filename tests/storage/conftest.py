"""The layer below SQLite, where it can be put in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage import vfs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give an empty folder to watch, beside one to put things back in."""
    if reason := vfs.missing():
        pytest.skip(reason)
    made = tmp_path / "device"
    made.mkdir()
    return made


@pytest.fixture(autouse=True)
def early_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short histories hold checkpoints and logs that begin anew."""
    monkeypatch.setattr("store.jobs.CHECKPOINT_JOBS", 40)
