"""Spoiled files under a running fleet: the good bot goes on, the mistake is told, the next good edit counts."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from config.vocabulary import Phase
from console.runtime import Fleet, open_fleet
from tests.hostile.spoil import spoil
from tests.hostile.strangers import STRANGERS, come_and_go
from tests.operated import ROOT
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

GOOD = 'channel = "none"\nname = "{}"\n'


def phases(fleet: Fleet) -> list[Phase]:
    """Return what the bots are at."""
    return [status.phase for status in fleet.pool.bots()]


async def test_no_spoiled_edit_stops_the_good_bot(tmp_path: Path) -> None:
    """Forty of them into one file of a real fleet, then a good one; the bot beside it is not even asked."""
    chance, bots = random.Random(11), tmp_path / "bots"
    bots.mkdir()
    for bot_id in ("a", "b"):
        (bots / f"{bot_id}.toml").write_text(GOOD.format(bot_id))
    async with open_fleet(tmp_path) as fleet:
        await eventually(lambda: phases(fleet) == [Phase.RUNNING] * 2)
        refused = 0
        for _ in range(40):
            (bots / "a.toml").write_bytes(spoil(chance, GOOD.format("a").encode(), 4)[0])
            await fleet.reloader.reload([bots / "a.toml"], patient=False)
            refused += "a" in fleet.reloader.snapshot.kept
            assert {s.bot_id for s in fleet.pool.bots()} == {"a", "b"}
        assert refused > 10
        (bots / "a.toml").write_text(GOOD.format("new"))
        await fleet.reloader.reload([bots / "a.toml"], patient=False)
        assert fleet.reloader.snapshot.bots["a"].config.name == "new"
        await eventually(lambda: phases(fleet) == [Phase.RUNNING] * 2)
        assert [s.restarts for s in fleet.pool.bots()] == [0, 0]


async def test_a_folder_that_goes_and_comes_back_under_a_running_fleet(tmp_path: Path) -> None:
    """Bots whose files are gone for good are stopped, and run again when these are back; the fleet lives."""
    bots = tmp_path / "bots"
    bots.mkdir()
    (bots / "a.toml").write_text(GOOD.format("a"))
    async with open_fleet(tmp_path) as fleet:
        await eventually(lambda: phases(fleet) == [Phase.RUNNING])
        bots.rename(tmp_path / "away")
        await fleet.reloader.reload(patient=False)
        assert fleet.reloader.snapshot.bots == {}
        (tmp_path / "away").rename(bots)
        await fleet.reloader.reload(patient=False)
        await eventually(lambda: phases(fleet) == [Phase.RUNNING])


async def test_strangers_come_and_go_under_a_running_fleet(tmp_path: Path) -> None:
    """Pipes, links that lead nowhere or back, folders: each told once, as a new file and in place of a running bot's."""
    await come_and_go(tmp_path, [kind for kind in STRANGERS if kind != "unreadable"])


def test_a_file_nobody_lets_us_read_comes_and_goes_under_a_running_fleet() -> None:
    """Beside all others, and as another user where we are root."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        command = [sys.executable, "-m", "tests.hostile.strangers", made]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert done.stdout == "unharmed\n", done.stderr
