"""Partitions are held by who uses them: a store that has served a million bots holds none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.database import Store
from store.turns import TurnRecord

pytestmark = pytest.mark.anyio


async def test_a_partition_goes_with_the_last_who_holds_it(tmp_path: Path) -> None:
    """And is the same for all who hold it meanwhile; a write under way needs nobody to."""
    async with await Store.open(tmp_path / "x.db", now_ms=1) as store:
        held = store.partition("one")
        assert store.partition("one") is held
        record = TurnRecord(None, "", "7", "", "api", "answered", question="q", answer="a")
        await store.partition("two").record_turn(record, 1)
        await held.record_turn(record, 1)  # the writer holds its last job until the next one
        assert list(store._partitions) == ["one"]
        assert len(await store.partition("two").messages.tail("", "7", 10)) == 2
