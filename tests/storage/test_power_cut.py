"""A power cut at any moment: nothing acknowledged is missing, nothing is half applied, and the test can tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import backup, migrate, opening
from store.database import Store
from tests.storage import vfs
from tests.storage.disk import Disk, everything, nothing, restore
from tests.storage.power import acknowledging_early, record, survey
from tests.store.filling import NOW_MS, fill, query

pytestmark = pytest.mark.anyio


async def test_nothing_acknowledged_is_missing_after_a_power_cut(folder: Path, tmp_path: Path) -> None:
    """Eight bots at once from the first start to the end, the power cut at every sync: all is there, and whole."""
    report = await survey(await record(folder, turns=4), tmp_path / "left")
    assert report.wrong == []
    assert report.syncs > 25
    assert report.acknowledged == 1 + 8 * 4 * 6


@pytest.mark.parametrize("broken", ["normal", "early"])
async def test_the_survey_finds_a_store_that_acknowledges_too_early(folder: Path, tmp_path: Path, broken: str) -> None:
    """Without a sync per commit, or with the answer given before the commit, turns are missing; none is half there."""
    if broken == "normal":
        disk = await record(folder, turns=2, durability="normal")
    else:
        disk = await record(folder, turns=2, prepare=acknowledging_early)
    report = await survey(disk, tmp_path / "left")
    assert any("acknowledged" in text for text in report.wrong)
    assert [text for text in report.wrong if "acknowledged" not in text] == []


async def test_the_survey_finds_a_folder_that_is_not_synced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose name never reached the device is gone with all that was acknowledged."""
    monkeypatch.setattr(opening, "_make_folders", lambda made: made.mkdir(parents=True))
    report = await survey(await record(folder, turns=1), tmp_path / "left")
    assert any("the file is gone" in text for text in report.wrong)


async def test_a_device_that_fails_and_then_loses_power_has_all_that_was_acknowledged(
    folder: Path, tmp_path: Path
) -> None:
    """Syncs and writes of log and file fail under way, pages are lost with them; callers insist; then comes the cut."""
    faults = [
        ("sync", "-wal", vfs.IO_SYNC, 3),
        ("sync", ".db", vfs.IO_SYNC, 1),
        ("write", "-wal", vfs.IO_WRITE, 60),
        ("write", "-wal", vfs.FULL, 120),
        ("truncate", ".db", vfs.IO_TRUNCATE, 4),
    ]
    report = await survey(await record(folder, turns=3, faults=faults), tmp_path / "left")
    assert report.wrong == []


# --- copies, exports, upgrades ---------------------------------------------------------------------------------


async def test_a_copy_has_its_name_only_when_it_is_whole(folder: Path, tmp_path: Path) -> None:
    """At every moment of a backup and an export over older ones, the name leads to the old file or the new, whole."""
    path, copied, exported = folder / "botdeck.db", folder / "copy.db", folder / "a.jsonl"
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await fill(store, "a")
        await store.backup(copied)
        await store.export_partition("a", exported)
        old = exported.read_bytes()
        await fill(store, "b")
        await store.partition("a").state.save(NOW_MS, name="Later")
        disk = Disk(folder)
        with disk.watched():
            await store.backup(copied, overwrite=True)
            await store.export_partition("a", exported, overwrite=True)
    seen = set()
    for number, (_, state) in enumerate(disk.states()):
        for keep, names in ((nothing, False), (nothing, True), (everything, True)):
            left = state.left(keep, names=lambda _, names=names: names)  # type: ignore[misc]
            restore({str(copied): left[str(copied)]}, disk.root, tmp_path / str(number))
            found = query(tmp_path / str(number) / "copy.db", "SELECT count(*) FROM bots")
            assert query(tmp_path / str(number) / "copy.db", "PRAGMA integrity_check") == [("ok",)]
            assert left[str(exported)] in {old, exported.read_bytes()}
            seen.add((found[0][0], left[str(exported)] == old))
    assert seen == {(1, True), (2, True), (2, False)}


async def test_the_copy_test_finds_a_rename_before_the_sync(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the file not synced before it gets its name, the name would lead to an empty one."""
    async with await Store.open(folder / "botdeck.db", now_ms=NOW_MS) as store:
        disk = Disk(folder)
        with disk.watched(), monkeypatch.context() as unsynced:
            unsynced.setattr(backup.os, "fsync", lambda _: None)
            await store.export_partition("a", folder / "a.jsonl")
    assert disk.now().left(nothing, names=lambda _: True)[str(folder / "a.jsonl")] == b""


@pytest.fixture
def next_migration(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Pretend that there is one more migration, which rewrites a table."""
    number = migrate.newest() + 1
    sql = (
        "ALTER TABLE bots ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';\nUPDATE messages SET content = content || '!';"
    )
    known = migrate.migrations() | {number: sql}
    monkeypatch.setattr(migrate, "migrations", lambda: known)
    return number


async def test_a_power_cut_during_an_upgrade_leaves_the_old_or_the_new(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Cut at any moment of a migration, the file opens, is brought up to date once, and the copy of before is whole."""
    path = folder / "botdeck.db"
    async with await Store.open(path, now_ms=NOW_MS) as store:
        await fill(store, "a")
    number = request.getfixturevalue("next_migration")
    disk = Disk(folder)
    with disk.watched():
        async with await Store.open(path, now_ms=NOW_MS):
            pass
    versions = set()
    for at, (_, state) in enumerate(disk.states()):
        for keep, names in ((nothing, False), (everything, True)):
            place = tmp_path / f"{at}{names}"
            restore(state.left(keep, names=lambda _, names=names: names), disk.root, place)  # type: ignore[misc]
            versions.add(query(place / "botdeck.db", "PRAGMA user_version")[0][0])
            async with await Store.open(place / "botdeck.db", now_ms=NOW_MS) as store:
                assert await store.integrity_check() == []
                said = query(store.path, "SELECT content FROM messages ORDER BY seq")
                assert said == [("q1!",), ("a1!",), ("q2!",), ("a2!",)]
            for kept in place.glob("*.before-*"):
                if kept.suffix != ".partial":
                    assert query(kept, "PRAGMA integrity_check") == [("ok",)]
    assert versions == {number - 1, number}
