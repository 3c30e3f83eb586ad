"""The pool: all keepers of a fleet in one task group."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup, TaskStatus

from config.change import BotChange, compare
from config.vocabulary import Effect, Phase
from store.bots import BotState
from workers.health import Watchdog
from workers.hold import FleetHold
from workers.intents import Intents
from workers.keeper import Keeper
from workers.ledger import Ledger
from workers.life import ALIVE, House
from workers.logbook import current_bot
from workers.outage import OutageWatch
from workers.pacing import StartPacing
from workers.record import Record
from workers.redaction import Redactor
from workers.run import Run, Runner
from workers.stall import Culprit, LoopWatch
from workers.status import BotStatus, status_of
from workers.storewatch import StoreWatch
from workers.worker import Worker

if TYPE_CHECKING:
    from config.snapshot import Snapshot
    from workers.services import Services
    from workers.underway import Underway

logger = logging.getLogger(__name__)

AT_A_TIME: Final = 100
"""Changes applied before others get a turn on the loop."""

FEW: Final = 10
"""More new bots than this are looked up all at once, as after a git checkout."""

FLUSH_S: Final = 2.0
"""The last writing down may take so long at a shutdown: a database at fault must not hold it up."""


class Pool(Intents):
    """Supervises every bot of a fleet. No bot's failure ends it or another bot.

    `run` holds it; `apply` brings in the files; `shutdown` brings all bots to rest and ends `run`. make_worker is a
    seam for tests; clean takes secrets out of what exceptions say.
    """

    def __init__(
        self,
        services: Services,
        *,
        make_worker: Callable[..., Runner] = Worker,
        clean: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(services)
        clock, bus = services.clock, services.bus
        self.loop_watch = LoopWatch(bus, clock, self._hold_back)
        """The lag of the loop, for status and the host's watchdog."""
        self.snapshot: Snapshot | None = None
        """The last one applied."""
        self._pacing = StartPacing(clock, 0.0, 1)
        self._hold = FleetHold(clock, bus, lambda: self._pacing.rate_per_s)
        self._house = House(services, self._pacing, self._hold, make_worker, clean or Redactor().clean)
        self._ledger = Ledger(services)
        self._order: list[Keeper] | None = None
        self._ended: dict[str, anyio.Event] = {}
        self._stored: dict[str, BotState] | None = None
        self._applying = anyio.Lock()
        self._group: TaskGroup | None = None
        self._closed = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the fleet until `shutdown` is done. Cancelled, it cancels every worker, with 5 s to clean up."""
        services = self._services
        self._stored = {state.bot_id: state for state in await services.store.statuses()}
        store_watch = StoreWatch(services, self._after_recovery)
        outage_watch = OutageWatch(services.outages, services.clock, services.bus, self._active)
        watchdog = Watchdog(services.clock, self.loop_watch, self._keepers.values, excused=lambda: store_watch.at_fault)
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                for name, service in (
                    ("pacing", self._pacing.run),
                    ("hold", self._hold.run),
                    ("ledger", self._ledger.run),
                    ("watchdog", watchdog.run),
                    ("loop", self.loop_watch.run),
                    ("store", store_watch.run),
                    ("outage", outage_watch.run),
                ):
                    group.start_soon(self._persist, service, name=f"pool.{name}")
                task_status.started()
                await self._closed.wait()
                group.cancel_scope.cancel()
        finally:
            self._group = None

    async def _persist(self, service: Callable[[], Any]) -> None:
        """Run one of the pool's own services for ever."""
        while True:
            try:
                await service()
            except Exception:
                # A mistake in one of them must not take a thousand bots down; it begins again.
                logger.exception("part of the supervision failed and begins again")
            await self._services.clock.sleep(1.0)

    def _hold_back(self, culprit: Culprit) -> None:
        """Have a bot fail that blocks the loop again and again."""
        keeper = self._keepers.get(culprit.bot_id)
        if keeper is not None:
            keeper.block(culprit.line)

    def _active(self) -> int:
        return sum(self._house.phases[phase] for phase in ALIVE)

    def _after_recovery(self, after_s: float) -> None:
        # While the database refused, nobody could make progress: no more their fault than a stall of the loop.
        self.loop_watch.note_stall(after_s)
        for keeper in self._keepers.values():
            keeper.nudge()

    # --- configuration -----------------------------------------------------------------------------------------

    async def apply(self, snapshot: Snapshot) -> tuple[BotChange, ...]:
        """Bring the fleet to a new snapshot, each bot with the least disturbance; return what changed.

        Bots that did not change are not touched. Returns before the bots have followed. Raises StoreError.
        """
        async with self._applying:
            if self.closing:
                return ()
            changes = compare(self.snapshot, snapshot)
            known = await self._states_of([c.bot_id for c in changes if c.bot_id not in self._keepers])
            start = snapshot.fleet.start
            self._pacing.change(start.rate_per_s, start.max_starting)
            self.snapshot = snapshot
            for number, change in enumerate(changes, 1):
                self._apply(change, known.get(change.bot_id))
                if number % AT_A_TIME == 0:
                    await anyio.lowlevel.checkpoint()
            return changes

    async def _states_of(self, bot_ids: list[str]) -> dict[str, BotState]:
        """Return what the last process, or an earlier file of that name, left of bots that are not kept."""
        if not bot_ids:
            return {}
        if self._stored is not None:  # the first time, `run` has read them all
            stored, self._stored = self._stored, None
            return stored
        if len(bot_ids) > FEW:
            return {state.bot_id: state for state in await self._services.store.statuses()}
        found = [await self._services.store.status(bot_id) for bot_id in bot_ids]
        return {state.bot_id: state for state in found if state is not None}

    def _apply(self, change: BotChange, state: BotState | None) -> None:
        keeper = self._keepers.get(change.bot_id)
        if keeper is None:
            if change.kind != "removed":
                self._adopt(change, state or BotState(change.bot_id))
        elif change.kind == "removed":
            keeper.remove()
        elif change.spec is None:
            keeper.reject(tuple(map(str, change.problems)))
        elif change.kind == "unchanged":
            keeper.restore(change.spec)
        else:
            # A file that comes back while its bot is still being drained may say anything.
            effect = Effect.RESTART if change.kind == "added" else change.effect
            keeper.change(change.spec, effect, change.keys)

    def _adopt(self, change: BotChange, state: BotState) -> None:
        if self.closing:
            return
        assert self._group is not None, "the pool runs before it is given bots"
        bot_id = change.bot_id
        record = Record(change.spec, state, self._services, self._house.phases, self._ledger.note)
        record.inbox_open, record.outbox_open = state.inbox_open, state.outbox_open
        keeper = self._keepers[bot_id] = Keeper(record, self._house)
        self._ended[bot_id] = anyio.Event()
        self._order = None
        if change.spec is None:
            keeper.reject(tuple(map(str, change.problems)))
        record.note()
        self._group.start_soon(self._keep, keeper, name=f"{bot_id}/keeper")

    async def _keep(self, keeper: Keeper) -> None:
        current_bot.set(keeper.bot_id)
        try:
            await keeper.run()
        except Exception:  # the keeper survives its own mistakes; should it not, the fleet does
            logger.exception("the keeper failed; the bot is gone until the fleet is started again")
        finally:
            keeper.record.leave_fleet()
            del self._keepers[keeper.bot_id]
            self._order = None
            self._ended.pop(keeper.bot_id).set()

    # --- what an operator sees ---------------------------------------------------------------------------------

    def bots(self) -> list[BotStatus]:
        """Return the status of every bot, by bot_id."""
        if self._order is None:
            self._order = [self._keepers[bot_id] for bot_id in sorted(self._keepers)]
        return [status_of(keeper.record, keeper.vitals()) for keeper in self._order]

    def __contains__(self, bot_id: object) -> bool:
        """Tell whether a file of the fleet, good or bad, has this name."""
        return bot_id in self._keepers

    def bot_ids(self) -> set[str]:
        """Return the bots of the fleet."""
        return set(self._keepers)

    def bot(self, bot_id: str) -> BotStatus:
        """Return one bot's status. Raises NoSuchBot."""
        return status_of(self.record(bot_id), self._keeper(bot_id).vitals())

    def record(self, bot_id: str) -> Record:
        """Return what is kept of one bot, its worker's part left out: read it, do not change it. Raises NoSuchBot."""
        return self._keeper(bot_id).record

    def underway(self, bot_id: str) -> list[Underway]:
        """Return the turns of a bot whose model is being asked, the oldest first. Raises NoSuchBot."""
        worker = self._keeper(bot_id).worker
        return worker.underway() if worker is not None else []

    def phases(self) -> dict[Phase, int]:
        """Return how many bots are in each phase, empty phases left out."""
        return {phase: self._house.phases[phase] for phase in Phase if self._house.phases[phase]}

    @property
    def held(self) -> str | None:
        """The fingerprint half of the fleet fails with, while it does."""
        return self._hold.fingerprint

    @property
    def outage(self) -> str | None:
        """A sentence while half of the fleet cannot reach its server."""
        return self._house.services.outages.fleetwide or None

    @property
    def leaked(self) -> list[Run]:
        """Runs left behind because they ignored their cancellation: such a process ends only by force."""
        self._house.leaked[:] = [run for run in self._house.leaked if not run.done]
        return self._house.leaked

    # --- leaving -----------------------------------------------------------------------------------------------

    async def release(self, bot_id: str) -> None:
        """Drain a bot and let go of it, as before its partition is removed. A bot that is not kept is no error.

        Its file is the caller's business: the bot comes back with the next change of it.
        """
        keeper = self._keepers.get(bot_id)
        if keeper is not None:
            ended = self._ended[bot_id]
            keeper.remove()
            await ended.wait()
        self._ledger.forget(bot_id)

    async def remove(self, bot_id: str) -> int:
        """Release a bot and delete its partition; return how many rows it had.

        Raises NoSuchBot for a bot neither kept nor stored, StoreError.
        """
        store = self._services.store
        if bot_id not in self._keepers and not self._ledger.knows(bot_id) and bot_id not in await store.bot_ids():
            self._keeper(bot_id)
        await self.release(bot_id)
        return await store.remove_partition(bot_id)

    async def shutdown(self) -> None:
        """Drain all bots at once: 20 s for turns in flight, 5 s to clean up; write down how they rest, end `run`.

        Takes at most 27 s, whatever the workers do. Safe to call again, and to cancel.
        """
        self.closing = True
        for keeper in self._keepers.values():
            keeper.close()
        for ended in list(self._ended.values()):
            await ended.wait()
        with self._services.clock.deadline(FLUSH_S):
            await self._ledger.flush()
        self._closed.set()

    def cut_short(self) -> None:
        """Let every drain end now: turns in flight are cancelled, their updates stay in the inbox."""
        for keeper in self._keepers.values():
            keeper.cut_short()
