"""Keeps the fleet at what its files say: watches the folder, loads what changed, hands it to the pool.

Level-triggered: every change is loaded as it is now, and everything is looked at again each 30 s, so that a
notice of the operating system that never came costs at most that long.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from config.change import BotChange, compare, fleet_changes
from config.errors import ConfigError, Problem
from config.load import BotSpec, Loader, Snapshot
from config.vocabulary import FLEET, Effect
from config.watch import watch
from store.events import ConfigApplied, ConfigRejected
from workers.bus import Bus
from workers.clock import Clock

logger = logging.getLogger(__name__)

GRACE_S: Final = 0.3
"""A file that is broken or gone for less than this is being written, moved or checked out: no news yet."""
AGAIN_S: Final = GRACE_S + 0.02
"""When such a file is looked at again: file times and ours are not told apart to the last digit."""
RESYNC_S: Final = 30.0

Apply = Callable[[Snapshot], Awaitable[tuple[BotChange, ...]]]


@dataclass(frozen=True, slots=True)
class FleetTrial:
    """What a text in place of fleet.toml would do: to the fleet itself (dotted keys and their effects), and to bots."""

    keys: tuple[tuple[str, Effect], ...]
    bots: tuple[BotChange, ...]
    problems: tuple[Problem, ...]


class Reloader:
    """Turns changed files into an applied snapshot.

    prepare(snapshot) is awaited before each snapshot is applied (secrets, levels); apply brings the bots to it.
    """

    def __init__(
        self,
        loader: Loader,
        snapshot: Snapshot,
        *,
        apply: Apply,
        prepare: Callable[[Snapshot], Awaitable[None]],
        bus: Bus,
        clock: Clock,
    ) -> None:
        self.snapshot = snapshot
        """What was last applied."""
        self.latest = snapshot
        """What the files said last, the mistakes of this moment included."""
        self._loader = loader
        self._apply = apply
        self._prepare = prepare
        self._bus = bus
        self._clock = clock
        self._turn = anyio.Lock()
        self._gone: dict[str, float] = {}
        self._group: TaskGroup | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What is wrong with the files beyond any single bot."""
        return tuple(problem for problem in self.latest.problems if problem.bot_id is None)

    async def run(self) -> None:
        """Follow the files until cancelled."""
        async with anyio.create_task_group() as self._group:
            self._group.start_soon(self._resync, name="reloader/resync")
            async for paths in watch(self.snapshot.root):
                await self.reload(paths)

    async def _resync(self) -> None:
        while True:
            await self._clock.sleep(RESYNC_S)
            await self.reload()

    async def reload(self, changed: Collection[Path] | None = None, *, patient: bool = True) -> tuple[BotChange, ...]:
        """Load what changed (None: look at everything) and apply it; return what that changed.

        patient leaves files alone that are broken or gone for less than GRACE_S, and looks at them again.
        """
        async with self._turn:
            try:
                loaded = await anyio.to_thread.run_sync(self._loader.load, changed)
            except ConfigError as error:
                logger.warning("the fleet runs on as it is: %s", error)
                return ()
            self.latest = loaded
            return await self._bring(self._without_unripe(loaded) if patient else loaded)

    async def attempt(self, bot_id: str, text: str) -> tuple[BotSpec | None, tuple[Problem, ...]]:
        """Return what a text would be in place of a bot's file, and what is wrong with it; nothing is changed."""
        async with self._turn:
            return await anyio.to_thread.run_sync(self._loader.attempt, bot_id, text)

    async def attempt_fleet(self, text: str) -> FleetTrial:
        """Return what a text in place of fleet.toml would change, and what is wrong with it; nothing is changed."""
        async with self._turn:
            return await anyio.to_thread.run_sync(self._try_fleet, text)

    def _try_fleet(self, text: str) -> FleetTrial:
        trial, problems = self._loader.attempt_fleet(text)
        keys = fleet_changes(self.snapshot, trial)
        before = {**self.snapshot.kept, **self.snapshot.bots}
        same = replace(self.snapshot, bots={b: s for b, s in before.items() if b in trial.bots}, kept={}, problems=())
        changes = compare(same, replace(trial, problems=()))
        return FleetTrial(
            keys, tuple(change for change in changes if change.effect or change.kind == "added"), problems
        )

    async def _bring(self, snapshot: Snapshot) -> tuple[BotChange, ...]:
        await self._prepare(snapshot)
        before, self.snapshot = self.snapshot, snapshot
        self._tell_of_fleet(before, snapshot)
        return await self._apply(snapshot)

    # --- files that are being written --------------------------------------------------------------------------

    def _without_unripe(self, loaded: Snapshot) -> Snapshot:
        """Return loaded with the last good state of every bot whose file is broken or gone too shortly to tell."""
        known = {**self.snapshot.kept, **self.snapshot.bots}
        broken = {p.bot_id: p.file for p in loaded.problems if p.bot_id is not None and self._is_young(p.file)}
        unripe = broken.keys() | self._just_gone(known.keys() - loaded.bots.keys() - loaded.kept.keys(), loaded)
        if not unripe:
            return loaded
        self._look_again(loaded.root / "bots" / f"{bot_id}.toml" for bot_id in unripe)
        running = {bot_id: self.snapshot.bots[bot_id] for bot_id in unripe & self.snapshot.bots.keys()}
        resting = {bot_id: known[bot_id] for bot_id in unripe & self.snapshot.kept.keys()}
        problems = [p for p in loaded.problems if p.bot_id not in unripe]
        problems += [p for p in self.snapshot.problems if p.bot_id in unripe]
        return replace(
            loaded,
            bots={**loaded.bots, **running},
            kept={b: s for b, s in loaded.kept.items() if b not in unripe} | resting,
            problems=tuple(problems),
        )

    def _is_young(self, path: Path) -> bool:
        try:
            age_s = self._clock.now() - path.stat().st_mtime
        except OSError:
            return False
        return -1.0 < age_s < GRACE_S

    def _just_gone(self, missing: Iterable[str], loaded: Snapshot) -> set[str]:
        """Return the bots whose files are gone for less than GRACE_S."""
        broken = {problem.bot_id for problem in loaded.problems}
        now = self._clock.monotonic()
        self._gone = {b: self._gone.get(b, now) for b in missing if b not in broken}
        return {bot_id for bot_id, since in self._gone.items() if now - since < GRACE_S}

    def _look_again(self, paths: Iterable[Path]) -> None:
        if self._group is not None:
            self._group.start_soon(self._reload_later, frozenset(paths), name="reloader/again")

    async def _reload_later(self, paths: frozenset[Path]) -> None:
        await self._clock.sleep(AGAIN_S)
        await self.reload(paths)

    # --- what concerns the fleet as a whole --------------------------------------------------------------------

    def _tell_of_fleet(self, before: Snapshot, now: Snapshot) -> None:
        problems = _fleet_level(now)
        if problems and problems != _fleet_level(before):
            logger.error("configuration rejected: %s", "; ".join(problems))
            self._publish(ConfigRejected, problems=problems)
        changes = fleet_changes(before, now)
        if not changes:
            return
        later = [key for key, effect in changes if effect is Effect.FLEET]
        if later:
            logger.warning("%s changed, which takes effect when the fleet is started again", ", ".join(later))
        effect = Effect.FLEET if later else Effect.IN_PLACE
        self._publish(ConfigApplied, keys=tuple(key for key, _ in changes), effect=str(effect), generation=0)

    def _publish(self, kind: Callable[..., Any], **data: Any) -> None:
        self._bus.publish(kind(bot_id=FLEET, at=self._clock.now(), **data))


def _fleet_level(snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(str(problem) for problem in snapshot.problems if problem.bot_id is None)
