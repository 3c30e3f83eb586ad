"""A program's own database: opened at the first bot, kept in order, locked, closed to the end."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.errors import StoreError, StoreOpenError
from tests.waiting import eventually
from tests.workers.talk_rig import ALICE
from workers.clock import ManualClock
from workers.home import METRICS_S
from workers.manager import BotManager

pytestmark = pytest.mark.anyio

ECHO: dict[str, Any] = {"llm": {"provider": "echo"}}


def rows(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_conversations_outlive_the_manager(tmp_path: Path) -> None:
    """What was said is there when the database is opened again; so are the measures of the last minute."""
    database = tmp_path / "data" / "bots.db"
    for number in range(2):
        async with BotManager(database=database) as manager:
            bot = await manager.get_or_create("support", ECHO)
            await bot.chat(f"q{number}", ALICE)
            found = await bot.get_conversation(ALICE)
            assert found is not None
            assert len(found.messages) == 2 * (number + 1)
    assert rows(database, "metrics") > 0


async def test_a_database_nobody_names_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It lies in the folder for temporary files, for as long as the manager is there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with BotManager() as manager:
        assert list(tmp_path.iterdir()) == []
        bot = await manager.get_or_create("support", ECHO)
        assert await bot.chat("hello", ALICE) == "hello"
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A database a fleet runs on, or another manager, is refused; once it is free it is opened."""
    database = tmp_path / "botdeck.db"
    lock = (tmp_path / "botdeck.db.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    async with BotManager(database=database) as manager:
        with pytest.raises(StoreOpenError, match="belongs to another"):
            await manager.get_or_create("support", ECHO)
        assert not database.exists()
        lock.close()
        bot = await manager.get_or_create("support", ECHO)
        assert await bot.chat("hello", ALICE) == "hello"


async def test_many_at_once_open_it_once(tmp_path: Path) -> None:
    """And one that gives up meanwhile stops it for nobody."""
    async with BotManager(database=tmp_path / "x.db") as manager:
        asking = [asyncio.create_task(manager.get_or_create(f"bot{n}", ECHO)) for n in range(10)]
        await asyncio.sleep(0)
        asking[0].cancel()
        bots = await asyncio.gather(*asking[1:])
        assert len({id(bot._services) for bot in bots}) == 1


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """To everybody who asks, each time."""
    database = tmp_path / "x.db"
    database.write_bytes(b"no database " * 1000)
    async with BotManager(database=database) as manager:
        for _ in range(2):
            with pytest.raises(StoreError):
                await manager.get_or_create("support", ECHO)


async def test_it_is_kept_in_order(tmp_path: Path, clock: ManualClock) -> None:
    """Measures are written each minute, conversations are condensed, faults are watched: as in a fleet."""
    database = tmp_path / "x.db"
    config = {**ECHO, "memory": {"type": "summary", "max_messages": 2}}
    async with BotManager(database=database, clock=clock) as manager:
        bot = await manager.get_or_create("support", config)
        for number in range(4):
            await bot.chat(f"q{number}", ALICE)
        await eventually(lambda: rows(database, "summaries"))
        assert rows(database, "metrics") == 0

        async def later() -> int:
            await clock.advance(METRICS_S)
            return rows(database, "metrics")

        await eventually(later)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {"botdeck/journal", "botdeck/database watch", "botdeck/retention", "botdeck/summaries"} <= names
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("botdeck/")]


async def test_a_manager_nobody_asked_closes(tmp_path: Path) -> None:
    async with BotManager(database=tmp_path / "x.db"):
        pass
    assert list(tmp_path.iterdir()) == []
