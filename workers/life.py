"""The steps of one bot: from what is wanted and what is, what to do next. Nothing here waits.

```
rest ── wanted ── queue ── slot ── begin ── tend: ready · drain · hang · cancel ── settle ── rest
```
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from config.vocabulary import Phase
from store.errors import StoreError
from store.events import BotFailed, Quarantined
from store.events import BotInvalid as BotInvalidEvent
from workers.backoff import CLEAN, HALF_OPEN_S, RESET_AFTER_S
from workers.errors import BotInvalid, TokenRejected
from workers.failure import Failure, cause_in, failure_of, text_of
from workers.hold import FleetHold
from workers.lifecycle import Cue
from workers.pacing import StartPacing, Ticket
from workers.record import Record
from workers.run import Run, Runner

if TYPE_CHECKING:
    from workers.services import Services

START_DEADLINE_S: Final = 30.0
"""A bot that is not ready by then gives its start slot to the next. It goes on starting: that the network keeps it
waiting is a condition, not a crash."""

ALIVE: Final = frozenset({Phase.STARTING, Phase.RUNNING})
HELD_BACK: Final = frozenset({Phase.BACKOFF, Phase.QUARANTINED})
AT_REST: Final = frozenset({Phase.STOPPED, Phase.DISABLED, Phase.INVALID})
NOW: Final = 1e-6
"""Less is no time at all: floats must not make a keeper wait for a nanosecond."""

_LEFT_BEHIND: Final = Failure("its worker ignores its cancellation and was left behind; restart the fleet", "Leaked")


@dataclass(slots=True)
class House:
    """What all keepers of a fleet share. make_worker(spec, services, conditions, paused=…) makes what they run.

    clean takes secrets out of what an exception says before it is shown, written down or published.
    """

    services: Services
    pacing: StartPacing
    hold: FleetHold
    make_worker: Callable[..., Runner]
    clean: Callable[[str], str]
    phases: Counter[Phase] = field(default_factory=Counter)
    leaked: list[Run] = field(default_factory=list)


class Life:
    """One bot between its phases. `_look` takes the next step; whatever changes an input calls `nudge` after it.

    Inputs: the record (spec, desired) and the flags of this class. Only `_look` begins, drains or ends a run.
    """

    __slots__ = (
        "_again", "_begun", "_due", "_held", "_house", "_hung", "_last", "_nudged", "_over", "_ready_at", "_ticket",
        "bot_id", "current", "record",
    )  # fmt: skip

    def __init__(self, record: Record, house: House) -> None:
        self.bot_id = record.bot_id
        self.record = record
        self.current: Run | None = None
        """The run there is at the moment."""
        self._house = house
        clock = house.services.clock
        # The wall clock may have been set back meanwhile: never wait longer than the longest wait there is.
        self._due = clock.monotonic() + min(HALF_OPEN_S, (record.retry_at or 0.0) - clock.now())
        self._last = record.history.failures[-1][1] if record.history.failures else ""
        self._again = self._held = self._over = False
        self._begun, self._ready_at = 0, 0.0
        self._hung: Failure | None = None
        self._ticket: Ticket | None = None
        self._nudged = anyio.Event()

    def nudge(self) -> None:
        """Make the keeper look again."""
        self._nudged.set()

    @property
    def active(self) -> bool:
        """Whether it has a worker that is to serve: starting or running."""
        return self.record.phase in ALIVE

    def _monotonic(self) -> float:
        return self._house.services.clock.monotonic()

    def _look(self) -> float | None:
        """Take the next step; return in how many seconds to look again at the latest (None: when nudged)."""
        return self._rest() if self.current is None else self._tend(self.current)

    # --- without a worker --------------------------------------------------------------------------------------

    def _rest(self) -> float | None:
        place = self.record.resting_place()
        if place is not None:
            self._rest_in(place)
            return 0.0 if self._over else None
        record = self.record
        if record.phase in AT_REST:
            record.move(Cue.WANTED)
        elif record.phase is Phase.DRAINING:
            record.restarts += 1
            record.move(Cue.AGAIN)
        if self._held or self._house.services.store.fault is not None:
            self._leave_queue()  # the hold, or the recovery of the database, nudges
            return None
        if record.phase in HELD_BACK:
            left_s = self._due - self._monotonic()
            if left_s > NOW:
                return left_s
            record.restarts += 1
            record.move(Cue.DUE)
        return self._queue()

    def _rest_in(self, place: Phase) -> None:
        self._leave_queue()
        self._leave_hold()
        record = self.record
        if record.phase is not place:
            record.come_to_rest(place)
        self._over = record.closing or record.removed
        if not self._over and record.spec is not None:
            record.observe(record.good_generation)

    def _queue(self) -> float | None:
        if self._ticket is None:
            self._ticket = self._house.pacing.join(self.nudge)
        if not self._ticket.granted:
            return None
        self._begin()
        return 0.0

    def _leave_queue(self) -> None:
        if self._ticket is not None:
            self._ticket.leave()
            self._ticket = None

    def forgive(self, fingerprint: str, since: float) -> bool:
        """Take back failures counted since then (monotonic); True when the bot now waits for the hold."""
        record = self.record
        since_ms = self._house.services.now_ms() - int((self._monotonic() - since) * 1000)
        record.history = record.history.without(fingerprint, since_ms)
        if record.phase is Phase.QUARANTINED and not record.history.sentence:
            record.move(Cue.FORGIVEN, record.phase_reason)
        self._held = record.phase is Phase.BACKOFF and self._last == fingerprint
        if self._held:
            record.retry_at = None
        record.note()
        self.nudge()
        return self._held

    def release(self) -> None:
        """Wait for the hold no longer."""
        self._held = False
        self._due = self._monotonic()
        self.nudge()

    def _leave_hold(self) -> None:
        if self._held:
            self._house.hold.leave(self.bot_id)
            self.release()

    def _begin(self) -> None:
        self.record.move(Cue.GRANTED)
        self._again, self._hung, self._begun = False, None, self.record.good_generation
        self.current = Run(self.bot_id, self._make, self._monotonic(), self.nudge)

    def _make(self) -> Runner:
        house, record = self._house, self.record
        return house.make_worker(record.spec, house.services, record.conditions, paused=record.paused)

    # --- with a worker -----------------------------------------------------------------------------------------

    def _tend(self, run: Run) -> float | None:
        now = self._monotonic()
        if run.done:
            self._settle(run, run.outcome())
            return 0.0
        if run.deadline is not None:
            return run.deadline - now if run.deadline - now > NOW else self._enforce(run)
        if self._hung is not None:
            return self._cancel(run)
        if self._again or self.record.resting_place() is not None:
            return self._drain(run)
        return self._tend_start(run, now) if self.record.phase is Phase.STARTING else self._tend_history(now)

    def _tend_start(self, run: Run, now: float) -> float | None:
        if run.ready:
            self._become_ready(now)
            return 0.0
        left_s = run.started_at + START_DEADLINE_S - now
        if left_s > NOW:
            return left_s
        self._leave_queue()
        return None

    def _become_ready(self, now: float) -> None:
        self._leave_queue()
        self._ready_at = now
        self.record.become_ready(self._begun)

    def _tend_history(self, now: float) -> float | None:
        if self.record.history.clean:
            return None
        left_s = self._ready_at + RESET_AFTER_S - now
        if left_s > NOW:
            return left_s
        self.record.history = CLEAN
        self.record.note()
        return None

    def _drain(self, run: Run) -> float:
        place = self.record.resting_place()
        self.record.move(Cue.DRAIN, "restart" if place is None else self.record.reason_to_rest(place))
        run.drain(self._monotonic())
        return 0.0

    def _cancel(self, run: Run) -> float:
        run.cancel(self._monotonic())
        self.nudge()
        return 0.0

    def _enforce(self, run: Run) -> float:
        """Its time is up: a drained worker is cancelled, a cancelled one left behind."""
        if not run.cancelled:
            return self._cancel(run)
        self._leave_behind(run)  # it must not hold up its bot, let alone the others
        return 0.0

    def _leave_behind(self, run: Run) -> None:
        run.cancel(self._monotonic())  # once more, now also in its clean-up
        run.let_go()
        self._house.leaked.append(run)
        self.record.log(logging.CRITICAL, _LEFT_BEHIND.error)
        self._hung = self._hung or _LEFT_BEHIND
        self._settle(run, None)

    # --- after a worker ----------------------------------------------------------------------------------------

    def _settle(self, run: Run, outcome: BaseException | None) -> None:
        """See to what a run that has ended leaves."""
        record, self.current = self.record, None
        self._leave_queue()
        record.end_run(run.worker.vitals() if run.worker is not None else None)
        error = None if outcome is None else cause_in(outcome)
        clean = self._house.clean
        if record.phase is Phase.DRAINING:
            if isinstance(error, Exception):
                record.log(logging.ERROR, "failed while it was drained", error=error)
        elif self._hung is not None:
            self._fail(self._hung)
        elif isinstance(error, BotInvalid | TokenRejected):
            self._refuse(text_of(error, clean))
        elif isinstance(error, StoreError):
            self._postpone(text_of(error, clean))
        elif error is None:
            self._fail(Failure("its worker ended without being asked to", "Ended"))
        else:
            record.log(logging.ERROR, "crashed", error=error)
            self._fail(failure_of(error, clean))

    def _refuse(self, reason: str) -> None:
        self.record.refused = True
        self.record.move(Cue.REFUSED, reason)
        self.record.observe(self._begun)
        self.record.log(logging.ERROR, "invalid: %s", reason)
        self.record.publish(BotInvalidEvent, reason=reason)

    def _postpone(self, reason: str) -> None:
        """Try again later without counting: the database's trouble is not the bot's."""
        self.record.history = self.record.history.postponed()
        self._retry(Cue.FAILED, reason, self.record.history.wait_s())

    def _fail(self, failure: Failure) -> None:
        record, house = self.record, self._house
        if record.phase is Phase.RUNNING and self._monotonic() - self._ready_at >= RESET_AFTER_S:
            record.history = CLEAN
        self._last = failure.fingerprint
        active = sum(house.phases[phase] for phase in ALIVE)
        self._held = house.hold.takes(self, failure.fingerprint, active)
        if self._held:
            record.move(Cue.FAILED, f"held, half of the fleet fails alike: {failure.error}")
            record.publish(BotFailed, error=failure.error, fingerprint=failure.fingerprint, retry_in_s=0.0)
            return
        record.history = record.history.failed(house.services.now_ms(), failure.fingerprint)
        wait_s = record.history.wait_s()
        if record.history.sentence:
            self._retry(Cue.CONDEMNED, failure.error, wait_s)
            record.publish(Quarantined, fingerprint=failure.fingerprint, retry_in_s=wait_s)
        else:
            self._retry(Cue.FAILED, failure.error, wait_s)
        record.publish(BotFailed, error=failure.error, fingerprint=failure.fingerprint, retry_in_s=wait_s)

    def _retry(self, cue: Cue, reason: str, wait_s: float) -> None:
        self._due = self._monotonic() + wait_s
        self.record.move(cue, reason, retry_in_s=wait_s)
