"""Files that change under a running fleet: good, bad, half-written, gone for a moment."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from config.change import BotChange, compare
from config.load import Loader, Snapshot
from console.reloader import AGAIN_S, GRACE_S, RESYNC_S, Reloader
from store.events import ConfigApplied, ConfigRejected, Event
from tests.waiting import eventually
from workers.bus import Bus, Subscription
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

GOOD = 'channel = "none"\nname = "{}"\n'


class Fleet:
    """What the reloader speaks to: the snapshots it was given, and the events."""

    def __init__(self, root: Path, clock: ManualClock, events: Subscription, bus: Bus) -> None:
        self.root = root
        self.clock = clock
        self.events = events
        self.applied: list[Snapshot] = []
        self.order: list[str] = []
        loader = Loader(root)
        first = loader.load()
        self.applied.append(first)
        self.reloader = Reloader(loader, first, apply=self._apply, prepare=self._prepare, bus=bus, clock=clock)

    async def _apply(self, snapshot: Snapshot) -> tuple[BotChange, ...]:
        self.order.append("apply")
        changes = compare(self.applied[-1], snapshot)
        self.applied.append(snapshot)
        return changes

    async def _prepare(self, snapshot: Snapshot) -> None:
        self.order.append("prepare")

    def write(self, bot_id: str, text: str, *, age_s: float = 60.0) -> Path:
        """Write a bot file whose last write lies age_s back."""
        path = self.root / "bots" / f"{bot_id}.toml"
        path.write_text(text)
        at = self.clock.now() - age_s
        os.utime(path, (at, at))
        return path

    def published(self) -> list[Event]:
        return self.events.take()

    @property
    def bots(self) -> dict[str, str]:
        return {bot_id: spec.config.name for bot_id, spec in self.applied[-1].bots.items()}


@pytest.fixture
async def fleet(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Fleet]:
    (tmp_path / "bots").mkdir()
    for bot_id in ("a", "b"):
        (tmp_path / "bots" / f"{bot_id}.toml").write_text(GOOD.format(bot_id))
    bus = Bus()
    with bus.subscribe() as events:
        yield Fleet(tmp_path, clock, events, bus)


async def test_a_good_edit_is_applied_after_secrets_are_known(fleet: Fleet) -> None:
    """Before a bot hears of a snapshot, the log knows its secrets."""
    path = fleet.write("a", GOOD.format("new"))
    [change] = await fleet.reloader.reload([path])
    assert (change.bot_id, change.kind, change.keys) == ("a", "changed", ("name",))
    assert fleet.order == ["prepare", "apply"]
    assert fleet.bots == {"a": "new", "b": "b"}


async def test_a_file_broken_for_long_is_news(fleet: Fleet) -> None:
    """An old broken file is rejected at once; its bot keeps the last good state."""
    path = fleet.write("a", "nonsense", age_s=GRACE_S + 0.1)
    [change] = await fleet.reloader.reload([path])
    assert (change.bot_id, change.kind) == ("a", "rejected")
    assert fleet.applied[-1].kept["a"].config.name == "a"


async def test_a_young_broken_file_is_being_written(fleet: Fleet) -> None:
    """For 300 ms a parse error is no news, while other changes of the same moment are applied."""
    half = fleet.write("a", "nonsense", age_s=0.0)
    done = fleet.write("b", GOOD.format("new"), age_s=0.0)
    changes = await fleet.reloader.reload([half, done])
    assert [(c.bot_id, c.kind) for c in changes] == [("b", "changed")]
    assert fleet.bots == {"a": "a", "b": "new"}
    await fleet.clock.advance(AGAIN_S)
    [change] = await fleet.reloader.reload([half])
    assert (change.bot_id, change.kind) == ("a", "rejected")


async def test_a_young_broken_file_stays_broken_news(fleet: Fleet) -> None:
    """A bot whose file is rejected already stays so while somebody writes on it, without a word."""
    path = fleet.write("a", "nonsense")
    await fleet.reloader.reload([path])
    path = fleet.write("a", "more nonsense", age_s=0.0)
    assert await fleet.reloader.reload([path]) == ()
    assert fleet.applied[-1].problems_of("a") != ()
    assert fleet.applied[-1].kept["a"].config.name == "a"


async def test_a_new_young_broken_file_is_not_there_yet(fleet: Fleet) -> None:
    """A file that is just being made is no bot and no mistake."""
    path = fleet.write("c", "chan", age_s=0.0)
    assert await fleet.reloader.reload([path]) == ()
    assert fleet.applied[-1].problems == ()


async def test_a_file_gone_for_a_moment_stops_no_bot(fleet: Fleet) -> None:
    """Editors and checkouts remove and make anew: only after 300 ms is a file gone."""
    path = fleet.root / "bots" / "a.toml"
    path.unlink()
    assert await fleet.reloader.reload([path]) == ()
    assert fleet.bots == {"a": "a", "b": "b"}
    fleet.write("a", GOOD.format("back"))
    assert [c.kind for c in await fleet.reloader.reload([path])] == ["changed"]
    path.unlink()
    await fleet.reloader.reload([path])
    await fleet.clock.advance(AGAIN_S)
    assert [c.kind for c in await fleet.reloader.reload([path])] == ["removed"]
    assert fleet.bots == {"b": "b"}


async def test_impatience_takes_the_files_as_they_are(fleet: Fleet) -> None:
    """`reload` by an operator waits for nothing."""
    (fleet.root / "bots" / "a.toml").unlink()
    assert [c.kind for c in await fleet.reloader.reload(patient=False)] == ["removed"]


async def test_fleet_keys_are_told_with_what_they_need(fleet: Fleet) -> None:
    """A key that is live says so; one that needs a fleet restart says that."""
    path = fleet.root / "fleet.toml"
    path.write_text('[log]\nlevel = "debug"\n')
    await fleet.reloader.reload([path])
    path.write_text('[log]\nlevel = "debug"\n[store]\ndurability = "normal"\n')
    await fleet.reloader.reload([path])
    told = [(e.keys, e.effect) for e in fleet.published() if isinstance(e, ConfigApplied)]
    assert told == [(("log.level",), "in place"), (("store.durability",), "fleet restart")]


async def test_a_bad_fleet_toml_changes_nothing_and_is_told_once(fleet: Fleet) -> None:
    """The last good fleet.toml goes on; the same mistake is one event, not one per look."""
    path = fleet.root / "fleet.toml"
    path.write_text("[start]\nrate_per_s = 5.0\n")
    await fleet.reloader.reload([path])
    path.write_text("[start\n")
    for _ in range(3):
        await fleet.reloader.reload()
    rejected = [e for e in fleet.published() if isinstance(e, ConfigRejected)]
    assert len(rejected) == 1
    assert "fleet.toml:1" in rejected[0].problems[0]
    assert fleet.applied[-1].fleet.start.rate_per_s == 5.0
    assert fleet.reloader.errors != ()
    assert fleet.bots == {"a": "a", "b": "b"}


async def test_a_vanished_folder_stops_no_bot(fleet: Fleet) -> None:
    """While the fleet's folder cannot be read, the fleet runs on as it is."""
    hidden = fleet.root.with_name("hidden")
    fleet.root.rename(hidden)
    assert await fleet.reloader.reload() == ()
    hidden.rename(fleet.root)
    assert fleet.bots == {"a": "a", "b": "b"}


async def test_running_it_follows_saves_and_looks_again_at_young_ones(fleet: Fleet) -> None:
    """Watched: a save is applied by itself; a half-written file is looked at again after the grace."""
    async with anyio.create_task_group() as group:
        group.start_soon(fleet.reloader.run)
        await eventually(lambda: len(fleet.applied) > 1)  # the first look at everything, once the watch stands
        fleet.write("a", GOOD.format("saved"))
        await eventually(lambda: fleet.bots.get("a") == "saved")
        waiting = fleet.clock.waiting
        fleet.write("b", "half", age_s=0.0)
        await eventually(lambda: fleet.clock.waiting > waiting)
        assert fleet.applied[-1].problems == ()
        await fleet.clock.advance(AGAIN_S)
        await eventually(lambda: fleet.applied[-1].problems_of("b") != ())
        group.cancel_scope.cancel()


async def test_everything_is_looked_at_again_every_thirty_seconds(fleet: Fleet) -> None:
    """A change no notice came for is found by the next look."""
    async with anyio.create_task_group() as group:
        group.start_soon(fleet.reloader.run)
        await eventually(lambda: len(fleet.applied) > 1)
        looks = len(fleet.applied)
        await fleet.clock.advance(RESYNC_S)
        await eventually(lambda: len(fleet.applied) > looks)
        group.cancel_scope.cancel()
