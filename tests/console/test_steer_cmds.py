"""start, stop, restart, pause, resume, reset, backup, bot …: as typed, against real processes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from console.steering import is_bulk, verdict
from store.database import Store
from tests.operated import World, botdeck, finish

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("w"))
    for bot_id in ("shop-a", "shop-b", "support"):
        made.add_bot(bot_id.replace("-", "_"))
    (made.root / "bots" / "broken.toml").write_text("channel = 1\n")
    made.start()
    made.ask("support", "x")
    yield made
    made.end()


def phase(world: World, bot_id: str) -> str:
    return {b["bot_id"]: b["phase"] for b in json.loads(world.cli("status", "--json").stdout)["bots"]}[bot_id]


def test_stop_waits_until_the_bot_rests_and_start_until_it_runs(world: World) -> None:
    """--wait returns when observed is as desired."""
    done = world.cli("stop", "support", "--wait", "--reason", "tea")
    assert (done.returncode, done.stdout) == (0, "support: stopped\n")
    assert phase(world, "support") == "stopped"
    done = world.cli("start", "support", "--wait")
    assert (done.returncode, phase(world, "support")) == (0, "running")
    assert world.cli("restart", "support", "--wait").returncode == 0
    assert world.ask("support", "again") == "again"


def test_a_glob_needs_yes_without_a_terminal(world: World) -> None:
    """Bulk is confirmed; without a terminal --yes is the confirmation."""
    refused = world.cli("pause", "shop_*")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert "2 bots" in refused.stderr
    done = world.cli("pause", "shop_*", "--yes", "--json")
    assert done.returncode == 0
    assert [o["bot_id"] for o in json.loads(done.stdout)["outcomes"]] == ["shop_a", "shop_b"]
    assert world.cli("resume", "shop_*", "--yes").returncode == 0


def test_exit_codes_of_partial_and_whole_failure(world: World) -> None:
    """5 partly, 4 nobody of that name, 1 refused, 2 wrong usage, 3 cannot run, 124 too late."""
    partly = world.cli("pause", "support", "suport")
    assert partly.returncode == 5
    assert "support: paused" in partly.stdout
    assert "did you mean support" in partly.stderr
    world.cli("resume", "support")
    assert world.cli("stop", "nobody").returncode == 4
    assert world.cli("stop", "no*", "--yes").returncode == 4
    assert world.cli("pause", "broken").returncode == 1
    assert world.cli("stop").returncode == 2
    assert world.cli("stop", "--all", "support", "--yes").returncode == 2
    assert world.cli("reset", "broken", "--wait").returncode == 3
    assert world.cli("restart", "support", "--wait", "--timeout", "0").returncode == 124


def test_without_a_fleet_there_is_nobody_to_ask(tmp_path: Path) -> None:
    """Orders need a running fleet: exit 4, and how to start it."""
    made = World(tmp_path)
    try:
        made.add_bot("alpha")
        done = made.cli("stop", "alpha")
        assert done.returncode == 4
        assert "botdeck run" in done.stderr
    finally:
        made.end()


def test_backup_and_moves_through_a_running_fleet(world: World, tmp_path: Path) -> None:
    """A verified copy; a bot exported, removed and brought back under another name."""
    copy = tmp_path / "copy.db"
    assert "verified" in world.cli("backup", str(copy)).stdout
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM messages WHERE bot_id = 'support'").fetchone()[0] >= 2
    assert world.cli("backup", str(copy)).returncode == 1
    assert world.cli("backup", str(copy), "--force").returncode == 0
    moved = tmp_path / "shop.botdeck"
    assert world.cli("bot", "export", "shop_b", str(moved)).returncode == 0
    assert world.cli("bot", "remove", "shop_b").returncode == 2
    removed = world.cli("bot", "remove", "shop_b", "--yes")
    assert (removed.returncode, "shop_b: removed" in removed.stdout) == (0, True)
    assert "shop_b" not in world.cli("status").stdout
    assert world.cli("bot", "import", str(moved), "--as", "shop_c").returncode == 0
    assert world.cli("bot", "import", str(moved), "--as", "shop_c").returncode == 1
    assert world.cli("bot", "export", "nobody", str(tmp_path / "x")).returncode == 4
    assert world.tokens["shop_b"] not in moved.read_text()


def test_info_tells_all_of_one_bot(world: World) -> None:
    """Phase, conditions, counters, usage, events."""
    text = world.cli("bot", "info", "support").stdout
    assert text.startswith("support: running\n")
    assert "@support_bot" in text
    assert "BotStarted" in text
    assert json.loads(world.cli("bot", "info", "support", "--json").stdout)["turns"] >= 1
    assert world.cli("bot", "info", "suport").returncode == 4


def test_list_reads_the_files(world: World) -> None:
    """Every bot file, the bad one with its problem."""
    rows = {r["bot_id"]: r for r in json.loads(world.cli("bot", "list", "--json").stdout)}
    assert rows["support"]["channel"] == "telegram"
    assert "broken.toml:1:" in rows["broken"]["problem"]
    assert "broken.toml:1:" in world.cli("bot", "list").stdout


def test_moves_without_a_fleet_take_its_lock(tmp_path: Path) -> None:
    """With no fleet running the same commands work on the database, under the lock that keeps a fleet out."""
    made = World(tmp_path)
    try:
        made.add_bot("alpha")
        assert made.cli("backup", str(tmp_path / "none.db")).returncode == 2
        made.start()
        made.ask("alpha", "x")
        assert made.fleet is not None
        finish(made.fleet)
        assert made.cli("backup", str(tmp_path / "copy.db")).returncode == 0
        assert made.cli("bot", "info", "alpha").stdout.startswith("alpha: stopped (last written down")
        assert made.cli("bot", "export", "alpha", str(tmp_path / "a")).returncode == 0
        assert made.cli("bot", "export", "alhpa", str(tmp_path / "b")).returncode == 4
        assert made.cli("bot", "remove", "alpha", "--yes").returncode == 0
        assert not (made.root / "bots" / "alpha.toml").exists()
        assert made.cli("bot", "remove", "alpha", "--yes").returncode == 4
        assert made.cli("bot", "import", str(tmp_path / "a")).returncode == 0
        assert made.cli("events", "alpha", "--kind", "ReplySent").stdout != ""
    finally:
        made.end()


def test_registered_bots_move_without_a_fleet_too(tmp_path: Path) -> None:
    """What a program registered has neither a file nor a row among the fleet's bots, and is known by its name all the same."""
    anyio.run(register, tmp_path / "botdeck.db")
    moved, elsewhere = tmp_path / "moved", ("-C", str(tmp_path))
    exported = botdeck("bot", "export", "desk", str(moved), *elsewhere)
    assert (exported.returncode, "1 rows" in exported.stdout) == (0, True)
    assert botdeck("bot", "export", "dekk", str(moved), *elsewhere).returncode == 4
    assert botdeck("bot", "remove", "desk", "--yes", *elsewhere).returncode == 0
    assert botdeck("bot", "remove", "desk", "--yes", *elsewhere).returncode == 4
    assert botdeck("bot", "import", str(moved), *elsewhere).returncode == 0


async def register(database: Path) -> None:
    """Leave a database in which a bot is registered and has done nothing yet."""
    async with await Store.open(database, now_ms=1) as store:
        await store.partition("desk").registrations.add('{"llm": {"provider": "echo"}}', 1)


def test_what_counts_as_bulk() -> None:
    """Named bots are meant; patterns may mean more than one thinks."""
    assert not is_bulk(["a", "b"])
    assert is_bulk(["a", "b*"])
    assert is_bulk(["*"])


def test_verdicts() -> None:
    """All fine 0; late 124; there but not as wanted 3."""
    ok = {"bot_id": "a", "ok": True, "error": "", "message": "", "hint": "", "at": 0.0}
    assert verdict([ok], {}) == 0  # type: ignore[list-item]
    assert verdict([ok], {"a": "late"}) == 124  # type: ignore[list-item]
    assert verdict([ok], {"a": "invalid"}) == 3  # type: ignore[list-item]
    assert verdict([], {}) == 0
