"""Files a copy is written to or read from: links, pipes, folders, what is there already, what is cut or spoiled."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from config.errors import FleetError
from store.database import Store
from tests.store.filling import NOW_MS

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "fleet.db", now_ms=1) as made:
        await made.partition("a").state.save(1, phase="running")
        yield made


@pytest.mark.parametrize("name", ["pipe", "folder", "loop", "x" * 300, "there", "no/such/folder"])
async def test_a_copy_goes_nowhere_but_into_a_new_file(store: Store, tmp_path: Path, name: str) -> None:
    """Refused with a sentence, nobody waited for, and what lies there is as it was."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "there").write_text("mine")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(FleetError):
        await store.backup(tmp_path / name)
    with pytest.raises(FleetError):
        await store.export_partition("a", tmp_path / name)
    assert (tmp_path / "there").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


async def test_a_spoiled_copy_is_read_whole_or_not_at_all(store: Store, tmp_path: Path) -> None:
    """Cut anywhere, or with bytes turned over: a sentence, or rows that a check of the database finds nothing wrong with."""
    chance, spoiled, good = random.Random(5), tmp_path / "spoiled", tmp_path / "good"
    await store.export_partition("a", good)
    whole = good.read_bytes()
    for number in range(60):
        data = bytearray(whole[: chance.randrange(len(whole))] if number % 2 else whole)
        for _ in range(chance.randint(1, 40) if data else 0):
            data[chance.randrange(len(data))] = chance.randrange(256)
        spoiled.write_bytes(data)
        with suppress(FleetError):
            await store.import_partition(spoiled, f"b{number}", now_ms=NOW_MS)
    assert await store.integrity_check() == []
    assert await store.status("a") is not None


@pytest.mark.parametrize("name", ["pipe", "folder", "loop", "text", "empty", "gone"])
async def test_what_is_no_copy_is_not_read(store: Store, tmp_path: Path, name: str) -> None:
    """At once, with a sentence."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "text").write_text("a text\n" * 900)
    (tmp_path / "empty").touch()
    with pytest.raises(FleetError):
        await store.import_partition(tmp_path / name, "b", now_ms=NOW_MS)
