"""One process per database, whoever dies in whatever way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from console.errors import FleetOwned
from console.lock import Lock, Owner, lock_path, owner_of
from store.errors import StoreOpenError
from workers.clock import SystemClock

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]

HOLDER = """
import anyio, os, sys
from pathlib import Path
from console.lock import Lock, Owner
from workers.clock import SystemClock

async def hold():
    await Lock.take(Path(sys.argv[1]), Owner(os.getpid(), "first", "1.2.3", "/run/x.sock", 1.0), SystemClock())
    print("held", flush=True)
    await anyio.sleep_forever()

anyio.run(hold)
"""


def owner(start_id: str = "me") -> Owner:
    return Owner(os.getpid(), start_id, "9.9", "/run/ctl.sock", 12.5)


def holder(database: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


async def test_the_lock_file_says_who_holds_it(tmp_path: Path) -> None:
    """While the lock is held, everybody can read pid, start id, version, socket and start of its holder."""
    database = tmp_path / "state" / "botdeck.db"
    assert owner_of(database) is None
    lock = await Lock.take(database, owner(), SystemClock())
    assert owner_of(database) == owner()
    assert lock.path.stat().st_mode & 0o777 == 0o600
    lock.release()
    lock.release()
    assert owner_of(database) is None


async def test_a_second_process_is_refused_at_once_by_name(tmp_path: Path) -> None:
    """A fleet that is owned elsewhere is refused in less than a second, with the owner's pid and a way to it."""
    database = tmp_path / "botdeck.db"
    process = holder(database)
    clock = SystemClock()
    began = clock.monotonic()
    with pytest.raises(FleetOwned) as refused:
        await Lock.take(database, owner(), clock)
    assert clock.monotonic() - began < 1.0
    assert refused.value.exit_code == 75
    assert f"pid {process.pid}" in refused.value.message
    assert "1.2.3" in refused.value.message
    assert f"botdeck status -C {tmp_path}" in refused.value.hint
    process.kill()
    process.communicate()


async def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    """SIGKILL frees the lock: what the file still says does not count, and the next process takes it."""
    database = tmp_path / "botdeck.db"
    process = holder(database)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert lock_path(database).read_text() != ""
    assert owner_of(database) is None
    lock = await Lock.take(database, owner("next"), SystemClock())
    found = owner_of(database)
    assert found is not None
    assert found.start_id == "next"
    lock.release()


async def test_looking_does_not_keep_a_start_away(tmp_path: Path) -> None:
    """A start that meets somebody who only looks waits that moment out."""
    import fcntl

    import anyio

    database = tmp_path / "botdeck.db"
    lock_path(database).touch()
    looking = os.open(lock_path(database), os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    taken: list[Lock] = []

    async def take() -> None:
        taken.append(await Lock.take(database, owner(), SystemClock()))

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        assert taken == []
        os.close(looking)
    taken[0].release()


async def test_a_lock_file_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    """A path that cannot be is said with what to look at."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreOpenError, match="cannot make the lock file") as refused:
        await Lock.take(tmp_path / "file" / "botdeck.db", owner(), SystemClock())
    assert "[fleet] database" in refused.value.hint


async def test_an_owner_that_has_not_written_its_name_is_still_an_owner(tmp_path: Path) -> None:
    """Between taking the lock and writing the name, the fleet is owned, by somebody unknown."""
    database = tmp_path / "botdeck.db"
    lock = await Lock.take(database, owner(), SystemClock())
    lock_path(database).write_text("{")
    found = owner_of(database)
    assert found is not None
    assert found.pid == 0
    with pytest.raises(FleetOwned, match="another process"):
        await Lock.take(database, owner(), SystemClock())
    lock.release()
