"""The fleet as wired: what an edit changes of the process itself, and how it comes and goes."""

from __future__ import annotations

import logging
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from config.errors import ConfigInvalid
from config.vocabulary import Phase
from console.errors import FleetOwned
from console.lock import owner_of
from console.runtime import Fleet, open_fleet, raise_descriptor_limit
from store.errors import StoreError
from tests.waiting import eventually
from workers.clock import ManualClock
from workers.tending import tend

pytestmark = pytest.mark.anyio

IDLE = 'channel = "none"\n'
SECRET = "very-secret-word-{}"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "f" / "bots").mkdir(parents=True)
    (tmp_path / "f" / "bots" / "idle.toml").write_text(IDLE)
    return tmp_path / "f"


@pytest.fixture
async def fleet(root: Path) -> AsyncIterator[Fleet]:
    async with open_fleet(root, serve=False) as running:
        yield running


async def texts(fleet: Fleet) -> str:
    await fleet.flush_logs()
    rows = await fleet.store.partition("_fleet").logs.tail(100)
    return "\n".join(row.text for row in rows)


async def test_a_new_secret_is_known_before_its_bot_and_an_old_one_while_it_drains(fleet: Fleet, root: Path) -> None:
    """Secrets of the files never reach the log: the new one from its first moment, the old one for one change more."""
    for number in (1, 2):
        (root / "bots" / "idle.toml").write_text(f'{IDLE}[llm]\napi_key = "{SECRET.format(number)}"\n')
        await fleet.reloader.reload(patient=False)
    logging.getLogger("botdeck").warning("leaking %s and %s", SECRET.format(1), SECRET.format(2))
    written = await texts(fleet)
    assert "leaking" in written
    assert "secret-word" not in written


async def test_the_log_level_follows_the_file(fleet: Fleet, root: Path) -> None:
    """[log] level is live."""
    logging.getLogger("botdeck").debug("before")
    (root / "fleet.toml").write_text('[log]\nlevel = "debug"\n')
    await fleet.reloader.reload(patient=False)
    logging.getLogger("botdeck").debug("after")
    written = (await texts(fleet)).splitlines()
    assert "after" in written
    assert "before" not in written


async def test_what_happened_is_journaled_from_start_to_end(root: Path) -> None:
    """FleetStarted comes first, FleetStopped last, in the next process to be read."""
    for _ in range(2):
        async with open_fleet(root, serve=False) as fleet:
            await eventually(lambda: fleet.pool.bot("idle").phase == Phase.RUNNING)
    async with open_fleet(root, serve=False) as fleet:
        await fleet.journal.flush()
        rows = await fleet.store.partition("_fleet").events.tail(100)
    assert [row.kind for row in rows] == ["FleetStarted", "FleetStopped"] * 2 + ["FleetStarted"]


async def test_a_second_fleet_in_the_same_process_is_refused(fleet: Fleet, root: Path) -> None:
    """The lock holds within a process too."""
    with pytest.raises(FleetOwned):
        async with open_fleet(root):
            pass


async def test_a_failed_start_gives_everything_back(root: Path) -> None:
    """When the database cannot be opened, lock, socket and log are as before."""
    handlers = list(logging.getLogger().handlers)
    (root / "botdeck.db").write_text("no database at all" * 100)
    with pytest.raises(StoreError):
        async with open_fleet(root):
            pass
    assert owner_of(root / "botdeck.db") is None
    assert logging.getLogger().handlers == handlers
    assert not list(root.parent.rglob("*.sock"))


async def test_a_cancelled_start_gives_everything_back(root: Path) -> None:
    """Cancelled at any step, nothing stays open: a thread of the database would keep the process alive."""
    for steps in range(0, 40, 3):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(_cancel_after, scope, steps)
                async with open_fleet(root):
                    scope.cancel()
                    await anyio.sleep_forever()
        assert owner_of(root / "botdeck.db") is None


async def _cancel_after(scope: anyio.CancelScope, steps: int) -> None:
    for _ in range(steps):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


async def test_a_bad_environment_is_refused_with_what_exists(root: Path) -> None:
    """A misspelled --env is one error before anything is opened."""
    (root / "environments").mkdir()
    (root / "environments" / "production.toml").write_text("")
    with pytest.raises(ConfigInvalid, match="production"):
        async with open_fleet(root, environment="prodction"):
            pass
    assert not (root / "botdeck.db").exists()


async def test_a_part_that_fails_is_named_and_begun_again(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    """The failure of a part is told under its name; it starts again, and nobody else hears of it."""
    runs = []

    async def part() -> None:
        runs.append(True)
        if len(runs) < 3:
            raise RuntimeError("broken")

    async with anyio.create_task_group() as group:
        group.start_soon(tend, "flux capacitor", part, clock)
        await eventually(lambda: clock.waiting)
        await clock.advance(5)
        await clock.advance(5)
    assert len(runs) == 3
    assert "the fleet's flux capacitor failed: broken" in caplog.text


def test_descriptors_are_raised_to_what_is_allowed() -> None:
    """The soft limit becomes the hard one: 1,000 bots hold 1,000 connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, soft), hard))
    try:
        raise_descriptor_limit()
        now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert now == hard or now >= 65_536
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_the_block_raises_comes_out_as_it_is(root: Path) -> None:
    """No bundle of one: an error of the embedding program is caught by its own class, after a clean end."""
    with pytest.raises(ZeroDivisionError):
        async with open_fleet(root, serve=False):
            raise ZeroDivisionError
    assert owner_of(root / "botdeck.db") is None
