"""A whole fleet on a device that fails: polls stop rather than lose, it is told once, and all goes on by itself."""

from __future__ import annotations

import errno
import inspect
import json
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from console.headless import summary
from console.runtime import Fleet, open_fleet
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from store.database import Store
from store.errors import StoreDoubtful
from tests.fleet_process import FleetProcess, fleet_process, write_bot
from tests.storage import vfs
from tests.storage.disk import Disk
from tests.store.filling import NOW_MS, converse, query
from tests.store.test_storage_faults import mount, small_disk
from tests.waiting import eventually
from workers import housekeeping
from workers.clock import ManualClock

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

__all__ = ["small_disk"]

BOTS = ("anna", "bert", "carl")
CHATS = (501, 502)
DAY_S = 86_400.0
Switch = Callable[[], object]
"""What begins or ends a trouble; awaited where it can be."""
HELD_UP = "the database takes no writes, the bots wait"
OVER = "the database takes writes again"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look and try often: what is waited for is the order of things, not their time."""
    monkeypatch.setattr("workers.storewatch.LOOK_S", 0.05)
    monkeypatch.setattr("workers.storewatch.PROBE_S", 0.05)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        yield double


class World:
    """A fleet of three bots and the people who write to them, each message with a number."""

    def __init__(self, root: Path, sandbox: Sandbox, database: str = "botdeck.db") -> None:
        self.root = root
        self.path = root / database
        (root / "fleet.toml").write_text(f'[fleet]\ndatabase = "{database}"\n')
        self.bots: list[SandboxBot] = []
        for bot_id in BOTS:
            self.bots.append(sandbox.add_bot())
            write_bot(root, bot_id, self.bots[-1].token, sandbox.base_url, telegram={"poll_timeout_s": 1})
        self.said = 0

    def say(self, times: int, *, filler: str = "") -> None:
        """Everybody writes to every bot."""
        for _ in range(times):
            self.said += 1
            for bot in self.bots:
                for chat in CHATS:
                    bot.say(chat, f"{self.said}{filler}")

    def answered(self) -> bool:
        """Whether every message has its answer by now."""
        return all(len(bot.sent_to(chat)) >= self.said for bot in self.bots for chat in CHATS)

    def check(self) -> None:
        """Every message was answered once and in order, and the books are closed."""
        expected = [str(number) for number in range(1, self.said + 1)]
        for bot in self.bots:
            for chat in CHATS:
                assert [sent.text.partition(" ")[0] for sent in bot.sent_to(chat)] == expected
        whole = self.said * len(CHATS)
        assert query(self.path, "SELECT bot_id, turns FROM bots ORDER BY 1") == [(bot, whole) for bot in BOTS]
        assert query(self.path, "SELECT count(*) FROM updates WHERE outcome IS NULL") == [(0,)]
        assert query(self.path, "SELECT count(*) FROM outbox WHERE state <> 'sent'") == [(0,)]
        assert query(self.path, "PRAGMA integrity_check") == [("ok",)]


async def held_up(fleet: Fleet, world: World) -> None:
    """The fault is known to status, and nobody polls: what is said now stays with the server."""
    await eventually(lambda: fleet.store.fault is not None)
    assert (await fleet.control.status())["fleet"]["store_fault"]
    assert "the database takes no writes" in summary(fleet)
    await nobody_polls(world)


async def nobody_polls(world: World) -> None:
    """What is said now stays with the server."""
    await eventually(lambda: not any(bot.polled for bot in world.bots), within_s=20)
    world.say(2)
    assert all(bot.pending >= 2 * len(CHATS) for bot in world.bots)
    assert not world.answered()


async def through(world: World, begin: Switch, end: Switch, *, provoke: int = 1, filler: str = "") -> str:
    """Run a fleet through a trouble; return the one sentence that told the operator of it."""
    async with open_fleet(world.root, serve=False) as fleet:
        world.say(2)
        await eventually(world.answered)
        await switched(begin)
        world.say(provoke, filler=filler)
        await held_up(fleet, world)
        await switched(end)
        await eventually(world.answered, within_s=20)
        assert fleet.store.fault is None
        world.say(1)
        await eventually(world.answered)
        await eventually(lambda: fleet.store.pending == 0)
        told = await told_of(fleet)
        events = await fleet.store.tail_events(50, kinds=("StoreFaulted", "StoreRecovered"))
        assert [event.kind for event in events] == ["StoreFaulted", "StoreRecovered"]
        assert json.loads(events[0].data)["error"]
    world.check()
    assert [text.partition(":")[0].partition(" after")[0] for text in told] == [HELD_UP, OVER]
    return told[0]


async def switched(switch: Switch) -> None:
    """Begin or end a trouble."""
    done = switch()
    if inspect.isawaitable(done):
        await done


async def told_of(fleet: Fleet) -> list[str]:
    """Return every line the operator was shown as a warning or worse, of the fleet and of its bots."""
    await fleet.flush_logs()
    await fleet.journal.flush()
    return [row.text for row in await fleet.store.tail_logs(500, min_level=30)]


@pytest.mark.parametrize(
    ("what", "name", "code"),
    [
        ("sync", "-wal", vfs.IO_SYNC),
        ("write", "-wal", vfs.IO_WRITE),
        ("write", "-wal", vfs.FULL),
    ],
)
async def test_a_device_that_fails_holds_the_fleet_up_and_loses_nothing(
    folder: Path, sandbox: Sandbox, what: str, name: str, code: int
) -> None:
    """EIO on a sync or a write, and ENOSPC: told once, over by itself, each answered once."""
    disk = Disk(folder)
    with disk.watched():
        await through(World(folder, sandbox), lambda: disk.strike(what, name, code, times=None), disk.heal)


async def test_a_full_disk_holds_the_fleet_up(small_disk: Path, sandbox: Sandbox) -> None:
    """A real one: another program takes all the room, and gives it back."""
    ballast = small_disk / "ballast"
    mount("-o", "remount,size=16m", small_disk)

    def fill() -> None:
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=4k"], capture_output=True, check=False)

    told = await through(World(small_disk, sandbox), fill, ballast.unlink, provoke=20, filler=" " + "x" * 3000)
    assert "no room left" in told


@pytest.mark.parametrize(("name", "replaced"), [("botdeck.db", False), ("botdeck.db-wal", False), ("botdeck.db", True)])
async def test_a_file_taken_away_from_an_idle_fleet_is_noticed(
    tmp_path: Path, sandbox: Sandbox, name: str, replaced: bool
) -> None:
    """Nobody writes, and still it is told at once, also with a copy in its place; put back, the fleet goes on."""
    file, aside = tmp_path / name, tmp_path / "aside"

    def take_away() -> None:
        file.rename(aside)
        if replaced:
            shutil.copy(aside, file)

    told = await through(World(tmp_path, sandbox), take_away, lambda: aside.rename(file), provoke=0)
    assert f"{file} was deleted or replaced" in told


async def test_a_limit_on_the_size_of_files_holds_a_fleet_up(tmp_path: Path, sandbox: Sandbox) -> None:
    """RLIMIT_FSIZE set on a process that runs neither kills it nor loses a message; it prints so once, and once the end."""
    world = World(tmp_path, sandbox)
    async with fleet_process(tmp_path) as fleet:
        await fleet.started()
        world.say(2)
        await eventually(world.answered)
        limit_files(fleet, 65_536)
        world.say(1)
        await fleet.printed(HELD_UP)
        await nobody_polls(world)
        limit_files(fleet, resource.RLIM_INFINITY)
        await eventually(world.answered)
        world.say(1)
        await eventually(world.answered)
        assert await fleet.end() == 0
    world.check()
    told = [line for line in fleet.lines if " info " not in line and not line.startswith("ready")]
    assert [text in line for text, line in zip((HELD_UP, OVER), told, strict=True)] == [True, True], fleet.lines
    assert f"{world.path} has met a limit on the size of files, 65,536 bytes" in told[0]


def limit_files(fleet: FleetProcess, size: int) -> None:
    """Let no file of a process that runs grow beyond a size."""
    _, hard = resource.prlimit(fleet.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(fleet.pid, resource.RLIMIT_FSIZE, (size, hard))


async def test_a_clock_a_day_off_costs_nobody_an_answer(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ahead and behind, each message is answered once and none counts as too old; nothing is deleted; told once each time."""
    monkeypatch.setattr(housekeeping, "TRIM_S", 0.5)
    monkeypatch.setattr(housekeeping, "WALK_S", 0.5)
    world, clock = World(tmp_path, sandbox), ManualClock(sandbox.clock.now())
    (tmp_path / "fleet.toml").write_text("[retention]\nevents_days = 1\n")

    async def answered() -> bool:
        await clock.advance(0.2)
        return world.answered()

    async with open_fleet(world.root, clock=clock, serve=False) as fleet:
        await fleet.journal.flush()
        written = await fleet.store.tail_events(500)
        assert written
        for jump, times_told in ((0, 0), (DAY_S, 1), (-DAY_S, 1), (-DAY_S, 1), (DAY_S, 1), (DAY_S, 2)):
            clock.jump(jump * 1.1)
            for _ in range(2):
                world.say(1)
                await eventually(answered)
                await clock.advance(5 * housekeeping.WALK_S)
            told = await told_of(fleet)
            assert [text[:33] for text in told] == ["the clock is 1.1 days ahead of wh"] * times_told, told
            assert (await fleet.store.tail_events(500))[: len(written)] == written
    world.check()


async def test_a_damaged_page_stops_the_fleet_until_it_is_restored(tmp_path: Path, sandbox: Sandbox) -> None:
    """Damage met while it runs: told once, nothing polled, nothing written, nothing acknowledged; a copy brings it back."""
    world = World(tmp_path, sandbox)
    async with open_fleet(world.root, serve=False) as fleet:
        world.say(3)
        await eventually(world.answered)
        await eventually(lambda: query(world.path, "SELECT count(*) FROM outbox WHERE state <> 'sent'") == [(0,)])
        await fleet.store.backup(tmp_path / "copy")
    (root,) = query(world.path, "SELECT rootpage FROM sqlite_schema WHERE name = 'messages'")[0]
    with world.path.open("r+b") as file:
        file.seek((root - 1) * 8192)
        file.write(b"\xff" * 8192)
    before = world.path.read_bytes()[8192 * root :]
    async with open_fleet(world.root, serve=False) as fleet:
        assert await fleet.store.check() != []
        await held_up(fleet, world)
        assert "damaged" in str(fleet.store.fault)
        assert "botdeck backup" in str(fleet.store.fault)
    assert world.path.read_bytes()[8192 * root :][: len(before)] == before
    for suffix in ("", "-wal", "-shm"):
        Path(f"{world.path}{suffix}").unlink(missing_ok=True)
    (tmp_path / "copy").rename(world.path)
    async with open_fleet(world.root, serve=False):
        await eventually(world.answered)
        await eventually(lambda: query(world.path, "SELECT count(*) FROM outbox WHERE state <> 'sent'") == [(0,)])
    world.check()


# --- a device that is repaired under the running store -----------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A small ext4 on a loop device: (device, folder it is mounted on)."""
    file, folder = tmp_path / "image", tmp_path / "mounted"
    folder.mkdir()
    file.write_bytes(b"\0" * 16 * 2**20)
    made = subprocess.run(["mkfs.ext4", "-q", "-F", file], capture_output=True, check=False)
    looped = subprocess.run(["losetup", "--find", "--show", file], capture_output=True, text=True, check=False)
    device = looped.stdout.strip()
    if made.returncode or not device or mount(device, folder).returncode:
        if device:
            subprocess.run(["losetup", "--detach", device], check=True)
        pytest.skip("needs the right to mount a loop device")
    yield device, folder
    subprocess.run(["umount", "--lazy", folder], capture_output=True, check=False)
    subprocess.run(["losetup", "--detach", device], check=True)


async def test_a_file_system_that_went_read_only_can_be_mended_under_the_store(image: tuple[str, Path]) -> None:
    """ext4 gives up under the running store; it lets go of the file, so that the device can be checked and mounted again."""
    device, folder = image
    store = await Store.open(folder / "botdeck.db", now_ms=NOW_MS)
    for number in range(1, 10):
        await converse(store, "a", number)
    assert mount("-o", "remount,abort", folder).returncode == 0
    with pytest.raises(StoreDoubtful):
        await converse(store, "a", 10)
    assert not await store.probe(NOW_MS)
    subprocess.run(["umount", folder], check=True)
    assert not await store.probe(NOW_MS)
    assert subprocess.run(["e2fsck", "-p", "-f", device], capture_output=True, check=False).returncode < 4
    assert mount(device, folder).returncode == 0
    assert await store.probe(NOW_MS), store.fault
    await converse(store, "a", 10)
    assert len(await store.partition("a").messages.tail("acme", "7", 99)) == 20
    assert await store.integrity_check() == []
    await store.close()


async def test_a_fleet_waits_while_its_file_system_is_read_only(
    image: tuple[str, Path], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EROFS as the kernel gives it, until the device was checked and mounted again: the file is let go of meanwhile."""
    device, folder = image
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/")  # no socket is made, yet its path must not be too long for one
    (folder / "botdeck.db.lock").symlink_to(folder.parent / "lock")  # held as long as a fleet runs

    def begin() -> None:
        assert mount("-o", "remount,abort", folder).returncode == 0
        with pytest.raises(OSError, match="x") as caught:
            (folder / "x").touch()
        assert caught.value.errno == errno.EROFS

    async def end() -> None:
        await eventually(lambda: subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0)
        assert subprocess.run(["e2fsck", "-p", "-f", device], capture_output=True, check=False).returncode < 4
        assert mount(device, folder).returncode == 0

    told = await through(World(folder.parent, sandbox, "mounted/botdeck.db"), begin, end)
    assert f"the device of {folder / 'botdeck.db'} fails" in told
