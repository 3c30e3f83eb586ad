"""Watching real files: what people and programs do to a fleet's folder is noticed, what editors drop is not."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from config.watch import watch
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


class Seen:
    """What a watch has named so far, relative to the root; "." is the root itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sets: list[set[str]] = []

    async def of(self, act: Callable[[], object], *names: str) -> set[str]:
        """Do something; return everything named until all of names were."""
        self.sets.clear()
        act()
        await eventually(lambda: set(names) <= self.names())
        return self.names()

    def names(self) -> set[str]:
        return set().union(*self.sets)

    async def settled(self) -> None:
        """Wait until the watch, set up anew, has named the root."""
        await eventually(lambda: "." in self.names())


@asynccontextmanager
async def watching(root: Path) -> AsyncIterator[Seen]:
    seen, stop = Seen(root), anyio.Event()

    async def collect() -> None:
        async for changed in watch(root, stop):
            assert all(path.is_absolute() for path in changed)
            seen.sets.append({str(path.relative_to(root)) for path in changed})

    async with anyio.create_task_group() as group:
        group.start_soon(collect)
        await seen.settled()
        yield seen
        stop.set()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("bots", "environments"):
        (tmp_path / name).mkdir()
    for name in ("fleet.toml", ".env", "bots/a.toml", "environments/e.toml"):
        (tmp_path / name).touch()
    return tmp_path


def replace(path: Path, text: str) -> None:
    """Write as careful programs do: beside, then over."""
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(text)
    beside.rename(path)


@pytest.mark.parametrize("name", ["fleet.toml", ".env", "bots/a.toml", "environments/e.toml"])
async def test_every_kind_of_save_is_noticed_again_and_again(root: Path, name: str) -> None:
    """Written in place, replaced, deleted, made again: the fourth as surely as the first."""
    path = root / name
    async with watching(root) as seen:
        for _ in range(2):
            await seen.of(lambda: path.write_text("# in place"), name)
            await seen.of(lambda: replace(path, "# replaced"), name)
            await seen.of(path.unlink, name)
            await seen.of(lambda: path.write_text("#"), name)


async def test_create_and_rename_name_both_files(root: Path) -> None:
    """The old name and the new one."""
    async with watching(root) as seen:
        await seen.of((root / "bots/b.toml").touch, "bots/b.toml")
        await seen.of(lambda: (root / "bots/b.toml").rename(root / "bots/c.toml"), "bots/b.toml", "bots/c.toml")


async def test_what_editors_drop_is_never_named(root: Path) -> None:
    """Swap files, backups, vim's probe, emacs' locks, temporary files, other files, the database."""
    droppings = ("bots/.a.toml.swp", "bots/a.toml~", "bots/4913", "bots/a.toml.tmp", "bots/#a.toml#", "bots/.#a.toml")
    others = ("botdeck.db", "botdeck.db-wal", "README.md", "environments/notes.txt", "bots/sub")

    def drop() -> None:
        for name in (*droppings, *others):
            (root / name).write_text("x")
        (root / "bots/a.toml").write_text("x")

    async with watching(root) as seen:
        assert await seen.of(drop, "bots/a.toml") == {"bots/a.toml"}


@pytest.mark.parametrize("name", ["bots", "environments"])
async def test_a_folder_deleted_and_made_again_is_watched_again(root: Path, name: str) -> None:
    """Even when the new one gets the old one's inode."""

    def remake() -> None:
        shutil.rmtree(root / name)
        (root / name).mkdir()

    async with watching(root) as seen:
        for _ in range(3):
            await seen.of(remake, name, ".")
            await seen.of((root / name / "n.toml").touch, f"{name}/n.toml")


async def test_a_folder_moved_away_and_back_is_watched_again(root: Path) -> None:
    """As a deployment does that swaps folders."""
    async with watching(root) as seen:
        await seen.of(lambda: (root / "bots").rename(root / "old"), "bots", ".")
        await seen.of(lambda: (root / "old").rename(root / "bots"), "bots", ".")
        await seen.of(lambda: (root / "bots/a.toml").write_text("x"), "bots/a.toml")


async def test_everything_may_come_later(tmp_path: Path) -> None:
    """A watch of an empty folder sees what is made in it."""
    async with watching(tmp_path) as seen:
        for name in ("bots", "environments"):
            await seen.of((tmp_path / name).mkdir, name, ".")
        for name in ("fleet.toml", ".env"):
            await seen.of((tmp_path / name).touch, name, ".")
        await seen.of(lambda: (tmp_path / "bots/a.toml").write_text("x"), "bots/a.toml")
        await seen.of(lambda: (tmp_path / "fleet.toml").write_text("x"), "fleet.toml")


async def test_a_thousand_files_at_once_are_all_named(root: Path) -> None:
    """A checkout of another branch."""
    names = [f"bots/n{number}.toml" for number in range(1000)]

    def write() -> None:
        for name in names:
            (root / name).write_text("x")

    async with watching(root) as seen:
        await seen.of(write, *names)


async def test_a_mounted_volume_that_swaps_its_link_names_the_folder(root: Path) -> None:
    """Kubernetes changes what `..data` points to; no file has an event of its own."""
    for version in ("v1", "v2"):
        (root / "bots" / f"..{version}").mkdir()
        (root / "bots" / f"..{version}" / "x.toml").touch()
    link = root / "bots" / "..data"
    link.symlink_to("..v1")
    (root / "bots/x.toml").symlink_to("..data/x.toml")

    def swap() -> None:
        link.with_name("..tmp").symlink_to("..v2")
        link.with_name("..tmp").rename(link)

    async with watching(root) as seen:
        await seen.of(swap, "bots")


async def test_stopping_and_cancelling_end_the_watch(root: Path) -> None:
    """Both, at once and without an error."""
    stop = anyio.Event()
    with anyio.fail_after(5):
        async for changed in watch(root, stop):
            assert changed == {root}
            stop.set()
        async with anyio.create_task_group() as group:
            async for _ in watch(root):
                group.cancel_scope.cancel()
