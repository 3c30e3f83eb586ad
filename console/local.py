"""Control inside the fleet's own process: every operation, done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from config.errors import FleetError
from config.load import Loader
from config.vocabulary import FLEET, Phase
from console.accounts import Accounts
from console.control import (
    API_VERSION,
    Action,
    BotRow,
    EventLine,
    EventQuery,
    FleetRow,
    Frame,
    Info,
    LogLine,
    LogQuery,
    Outcome,
    Status,
    matching,
    no_such_bot,
)
from console.course import Course
from console.errors import Conflict, described
from console.feed import Board
from console.gate import Gate
from console.keydesk import KeyDesk
from console.offline import remove_file
from console.paperwork import Paperwork
from console.records import Records
from console.rows import change_row, problem_row
from console.setup import setup
from console.talks import Talks
from workers.media import keeping

if TYPE_CHECKING:
    from console.runtime import Fleet

LOOK_S: Final = 0.05
"""How often `wait` looks."""
MORE: Final = (
    "feed",
    "series",
    "conversations",
    "say",
    "edit",
    "edit_fleet",
    "add",
    "usage",
    "profile",
    "access",
    "saying",
    "answering",
)
"""What a fleet of this version can beyond the first one."""
STUCK: Final = frozenset({Phase.STOPPED, Phase.DISABLED, Phase.INVALID, Phase.QUARANTINED})
"""Phases a bot does not leave by itself (soon): waiting for another one is useless."""


class LocalControl(Talks, Accounts, Gate, KeyDesk, Course, Paperwork):
    """The Control of a fleet of this process."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet)
        self._records = Records(fleet)
        self._board = Board(fleet)

    # --- questions ---------------------------------------------------------------------------------------------

    async def info(self) -> Info:
        """As Control.info."""
        owner, place = self._fleet.owner, self._fleet.place
        return {
            "api": API_VERSION,
            "version": owner.version,
            "name": self._fleet.snapshot.name,
            "pid": owner.pid,
            "start_id": owner.start_id,
            "started_at": owner.started_at,
            "root": str(place.root.absolute()),
            "database": str(place.database),
            "capabilities": [
                *Action,
                "wait",
                "reload",
                "check",
                "config",
                "logs",
                "events",
                "partition",
                "backup",
                *MORE,
            ],
        }

    async def status(self) -> Status:
        """As Control.status."""
        rows = [bot_row(status.as_dict()) for status in self._fleet.pool.bots()]
        return {"fleet": self.fleet_row(), "bots": rows}

    def feed(self) -> AsyncIterator[Frame]:
        """As Control.feed."""
        return self._board.follow()

    def fleet_row(self) -> FleetRow:
        """Return the fleet as a whole."""
        fleet, fault = self._fleet, self._fleet.store.fault
        return {
            "name": fleet.snapshot.name,
            "running": True,
            "pid": fleet.owner.pid,
            "started_at": fleet.owner.started_at,
            "version": fleet.owner.version,
            "root": str(fleet.place.root.absolute()),
            "database": str(fleet.place.database),
            "bots": len(fleet.pool.bot_ids()),
            "phases": dict(sorted((str(phase), count) for phase, count in fleet.pool.phases().items())),
            "held": fleet.pool.held is not None,
            "store_fault": str(fault) if fault else None,
            "outage": fleet.pool.outage,
            "config_errors": [*map(str, fleet.reloader.errors), *self._api_problem()],
        }

    def _api_problem(self) -> list[str]:
        listener = self._fleet.listener
        return [listener.problem] if listener is not None and listener.problem else []

    async def bot(self, bot_id: str) -> dict[str, Any]:
        """As Control.bot."""
        status = self._fleet.pool.bot(self._known(bot_id)).as_dict()
        spec = self._fleet.spec(bot_id)
        usage = await self._fleet.store.partition(bot_id).usage.totals()
        return {
            **bot_row(status),
            "running": True,
            "file": str(spec.path if spec else self._file(bot_id)),
            "digest": spec.digest[:12] if spec else None,
            "setup": setup(spec.config) if spec else None,
            "failures": status.get("failures", []),
            "usage": [asdict(total) for total in usage],
            "events": await self.events(EventQuery((bot_id,), tail=20)),
        }

    async def config_show(self, bot_id: str) -> dict[str, Any]:
        """As Control.config_show."""
        from config.show import as_json

        spec = self._fleet.spec(self._known(bot_id))
        if spec is None:
            raise FleetError(f"{bot_id} has no good configuration yet", "`botdeck check` says what is wrong")
        return as_json(spec, self._fleet.snapshot.secrets, self._fleet.place.root.absolute())

    async def check(self) -> dict[str, Any]:
        """As Control.check."""
        fleet = self._fleet
        loader = Loader(fleet.place.root, environment=fleet.environment)
        snapshot = await anyio.to_thread.run_sync(loader.load)
        return {
            "ok": not snapshot.problems,
            "bots": sorted(snapshot.bots),
            "problems": [problem_row(problem) for problem in snapshot.problems],
            "warnings": [problem_row(problem) for problem in snapshot.warnings],
        }

    # --- orders ------------------------------------------------------------------------------------------------

    async def steer(
        self,
        action: Action,
        selectors: Sequence[str],
        *,
        actor: str,
        reason: str = "",
        expected_generation: int | None = None,
    ) -> list[Outcome]:
        """As Control.steer."""
        self._refuse_when_closing()
        outcomes: list[Outcome] = []
        bot_ids: dict[str, None] = {}
        for selector in selectors:
            try:
                bot_ids |= dict.fromkeys(matching(selector, self._bot_ids()))
            except FleetError as error:
                outcomes.append(self._outcome(selector, error))
        verb: Callable[..., Awaitable[None]] = getattr(self._fleet.pool, action.value)
        done = [self._act(verb, bot_id, actor, reason, expected_generation) for bot_id in bot_ids]
        return [*(await asyncio.gather(*done)), *outcomes]

    async def _act(
        self, verb: Callable[..., Awaitable[None]], bot_id: str, actor: str, reason: str, generation: int | None
    ) -> Outcome:
        asked_at = self._fleet.clock.now()
        try:
            self._refuse_if_changed(bot_id, generation)
            await verb(bot_id, actor=actor, reason=reason)
        except FleetError as error:
            return self._outcome(bot_id, error)
        return {"bot_id": bot_id, "ok": True, "error": "", "message": "", "hint": "", "at": asked_at}

    def _refuse_if_changed(self, bot_id: str, expected: int | None) -> None:
        found = self._fleet.pool.bot(bot_id).generation
        if expected is not None and found != expected:
            raise Conflict(
                f"the files of {bot_id} have changed: generation {found}, not {expected}", "look at it again"
            )

    def _outcome(self, bot_id: str, error: FleetError) -> Outcome:
        words = described(error)
        return {
            "bot_id": bot_id,
            "ok": False,
            "error": words["error"],
            "message": words["message"],
            "hint": words["detail"],
            "at": self._fleet.clock.now(),
        }

    async def wait(
        self, bot_ids: Sequence[str], phases: Collection[Phase], *, timeout_s: float, since: float = 0.0
    ) -> list[str]:
        """As Control.wait."""
        waiting = dict.fromkeys(map(self._known, bot_ids))
        stuck: list[str] = []
        with self._fleet.clock.deadline(timeout_s):
            while True:
                for bot_id in self._arrived(waiting, phases, since):
                    del waiting[bot_id]
                if not waiting:
                    break
                # An order just given moves its bot at the next turn of the loop: only then is stuck really stuck.
                await self._fleet.clock.sleep(LOOK_S)
                stuck += [b for b in waiting if self._phase(b) in STUCK - set(phases)]
                for bot_id in stuck:
                    waiting.pop(bot_id, None)
        return [bot_id for bot_id in bot_ids if bot_id in waiting or bot_id in stuck]

    def _arrived(self, bot_ids: Collection[str], phases: Collection[Phase], since: float) -> list[str]:
        seen = ((bot_id, self._fleet.pool.bot(bot_id)) for bot_id in bot_ids)
        return [bot_id for bot_id, status in seen if status.phase in phases and status.since >= since]

    def _phase(self, bot_id: str) -> Phase:
        return self._fleet.pool.bot(bot_id).phase

    async def reload(self, *, actor: str) -> dict[str, Any]:
        """As Control.reload."""
        self._refuse_when_closing()
        self._note("reload", FLEET, actor)
        changes = await self._fleet.reloader.reload(patient=False)
        problems = self._fleet.reloader.latest.problems
        return {"changes": [change_row(c) for c in changes], "problems": [problem_row(p) for p in problems]}

    async def backup(self, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """As Control.backup."""
        await self._fleet.store.backup(target, overwrite=overwrite)
        return {"file": str(target), "size_bytes": (await anyio.Path(target).stat()).st_size}

    async def export_bot(self, bot_id: str, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """As Control.export_bot."""
        known = await self._records.stored_ids()
        if bot_id not in known:
            raise no_such_bot(bot_id, known)
        rows = await self._fleet.store.export_partition(bot_id, target, overwrite=overwrite)
        return {"bot_id": bot_id, "file": str(target), "rows": rows}

    async def import_bot(self, source: Path, bot_id: str | None = None, *, actor: str) -> dict[str, Any]:
        """As Control.import_bot."""
        self._refuse_when_closing()
        now_ms = int(self._fleet.clock.now() * 1000)
        name, rows = await self._fleet.store.import_partition(source, bot_id, now_ms=now_ms)
        self._note("import", name, actor)
        return {"bot_id": name, "rows": rows}

    async def remove_bot(self, bot_id: str, *, actor: str) -> dict[str, Any]:
        """As Control.remove_bot."""
        self._refuse_when_closing()
        known = {*await self._records.stored_ids(), *self._bot_ids()}
        if bot_id not in known:
            raise no_such_bot(bot_id, known)
        path = self._file(bot_id)
        await anyio.to_thread.run_sync(remove_file, path)
        await self._fleet.reloader.reload([path], patient=False)
        await self._fleet.pool.release(bot_id)
        await self._forget_inquiries(bot_id)
        await self._fleet.settle(bot_id)
        rows = await self._fleet.pool.remove(bot_id)
        await anyio.to_thread.run_sync(keeping.remove, self._fleet.place.root, bot_id)
        self._note("remove", FLEET, actor, bot_id)
        return {"bot_id": bot_id, "file": str(path), "rows": rows}

    # --- what was written down ---------------------------------------------------------------------------------

    async def logs(self, query: LogQuery) -> list[LogLine]:
        """As Control.logs."""
        return await self._records.logs(query)

    def follow_logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """As Control.follow_logs."""
        return self._records.follow_logs(query)

    async def events(self, query: EventQuery) -> list[EventLine]:
        """As Control.events."""
        return await self._records.events(query)

    def follow_events(self, query: EventQuery) -> AsyncIterator[EventLine]:
        """As Control.follow_events."""
        return self._records.follow_events(query)


def bot_row(status: dict[str, Any]) -> BotRow:
    """Return a BotStatus as a Control answers it."""
    row = {name: status[name] for name in BotRow.__annotations__}
    return cast("BotRow", row | {"config_error": status["config_error"] or None})
