"""A database of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.database import Store
from tests.store.filling import NOW_MS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "botdeck.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with await Store.open(path, now_ms=NOW_MS, durability="normal") as opened:
        yield opened
