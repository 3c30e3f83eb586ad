"""A kill, and then a damaged page: a small database is refused, a large one stops the polls of a fleet that serves already."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import pytest

from console.runtime import open_fleet
from console.sandbox.server import Sandbox
from store import inspection
from store.errors import StoreCorrupt
from tests.fleet_process import fleet_process, query, write_bot
from tests.store.damaging import damage, leave_as_killed
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def root(tmp_path: Path) -> Path:
    """A folder with the damaged database of a fleet that was killed."""
    root = tmp_path / "fleet"
    root.mkdir()
    await leave_as_killed(tmp_path / "whole.db", root / "botdeck.db")
    damage(root / "botdeck.db")
    return root


async def test_a_small_database_found_damaged_is_refused_until_it_is_restored(root: Path, tmp_path: Path) -> None:
    """Each start says which file and what to do, and exits; a start that was refused does not count as a clean stop."""
    async with Sandbox() as sandbox, fleet_process(root) as fleet:
        write_bot(root, "support", sandbox.add_bot().token, sandbox.base_url)
        for _ in range(2):
            await fleet.start()
            assert await fleet.ended() == 1
            assert "botdeck.db is damaged" in fleet.lines[-2]
            assert "restore a copy" in fleet.lines[-1]
        for left in root.glob("botdeck.db*"):
            left.unlink()
        shutil.copy(tmp_path / "whole.db", root / "botdeck.db")
        await fleet.started()
        assert await fleet.end() == 0
    assert query(root, "PRAGMA integrity_check") == [("ok",)]


async def test_a_large_database_is_checked_beside_the_bots(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The fleet serves at once; found damaged, polls stop, what comes stays at the server, and it is told once."""
    monkeypatch.setattr(inspection, "FIRST_BYTES", 0)
    async with Sandbox() as sandbox:
        bot = sandbox.add_bot()
        write_bot(root, "support", bot.token, sandbox.base_url)
        async with open_fleet(root, serve=False) as fleet:
            with anyio.fail_after(20):
                fault = await fleet.store.wait_fault()
            assert isinstance(fault, StoreCorrupt)
            assert "malformed" not in str(fault)  # the check says which page; SQLite's own words would not
            bot.say(7, "anybody there?")
            # A poll that waited when the damage was found may bring it; none may follow, which would acknowledge it.
            await eventually(lambda: not bot.polled)
            for _ in range(3):
                assert not await fleet.store.probe(0)
            assert (bot.pending, bot.sent) == (1, [])
            status = await fleet.control.status()
            assert "damaged" in str(status["fleet"]["store_fault"])
    told = capfd.readouterr().err
    assert told.count("the database takes no writes") == 1
    assert "restore a copy" in told
    assert query(root, "SELECT value FROM meta WHERE key = 'open'") == [("yes",)]


async def test_a_large_database_found_whole_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is disturbed, and the next stop is a clean one."""
    await leave_as_killed(tmp_path / "whole.db", tmp_path / "botdeck.db")
    monkeypatch.setattr(inspection, "FIRST_BYTES", 0)
    async with open_fleet(tmp_path, serve=False) as fleet:
        with anyio.fail_after(10):
            await eventually(lambda: not fleet.store.unclean)
        assert fleet.store.fault is None
    assert "the database is whole" in capfd.readouterr().err
    assert query(tmp_path, "SELECT value FROM meta WHERE key = 'open'") == [("no",)]
