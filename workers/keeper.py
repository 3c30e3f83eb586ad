"""The keeper of one bot: holds what is wanted against what is, for as long as the bot belongs to the fleet.

One coroutine per bot, level-triggered: whatever happens only nudges it, and then it looks at everything anew. What is
wanted comes from the files (spec) and the operator (desired, paused); what is, is the phase and the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from config.vocabulary import Condition, Desired, Effect, Phase
from store.events import HealthCheckFailed
from workers.backoff import CAP_S, CLEAN
from workers.failure import Failure
from workers.life import ALIVE, HELD_BACK, NOW, Life
from workers.lifecycle import Cue
from workers.run import CLEANUP_S, Runner

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from workers.worker import Vitals


class Keeper(Life):
    """Keeps one bot: the coroutine, and what may be asked of it. All but `run` returns at once, on the event loop."""

    __slots__ = ()

    @property
    def worker(self) -> Runner | None:
        """The worker, while there is one."""
        return self.current.worker if self.current is not None else None

    def vitals(self) -> Vitals | None:
        """Return what the worker shows of itself; None without one, or when it cannot say."""
        worker = self.worker
        if worker is None:
            return None
        try:
            return worker.vitals()
        except Exception as error:  # noqa: BLE001 (one bot's mistake must not hide the others from their operator)
            self.record.log(logging.ERROR, "the worker cannot say how it is", error=error)
            return None

    # --- what the files say ------------------------------------------------------------------------------------

    def change(self, spec: BotSpec, effect: Effect | None, keys: tuple[str, ...] = ()) -> None:
        """Take over other files, with no more disturbance than effect says. What was held against the bot goes."""
        self.record.change(spec, effect, keys)
        worker = self.worker
        if worker is not None and effect in {Effect.RESTART, Effect.FLEET}:
            self._again = True
        elif worker is not None:
            self._tell(worker.apply, spec)
        self._go_live()
        self.acquit()

    def restore(self, spec: BotSpec) -> None:
        """Note that the files, bad in between, say again what ran last."""
        self.record.change(spec, None, ())
        self._go_live()
        self.nudge()

    def _go_live(self) -> None:
        """A worker that needs no restart, or is made in a moment, works by the new files."""
        if self.current is not None and not self._again and self.record.phase in ALIVE:
            self._begun = self.record.generation
            if self.record.phase is Phase.RUNNING:
                self.record.observe(self._begun)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        """Ask the worker for something; one that cannot do it is started anew."""
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 (who edits a file or pauses a bot must not meet another's mistake)
            self.record.log(logging.ERROR, "the worker refused; it is restarted", error=error)
            self._again = True
            self.nudge()

    def reject(self, problems: tuple[str, ...]) -> None:
        """Note that the files are bad now: what ran last goes on."""
        self.record.reject(problems)
        self.nudge()

    def remove(self) -> None:
        """Drain and end, the file is gone. A change before the end takes it back."""
        self.record.removed = True
        self.nudge()

    def close(self) -> None:
        """Drain and end, the process does."""
        self.record.closing = True
        self.nudge()

    # --- what the operator says --------------------------------------------------------------------------------

    def want(self, desired: Desired, actor: str, reason: str) -> None:
        """Take over an intent. To want a bot to run clears what is held against it."""
        record = self.record
        record.desired, record.desired_actor, record.desired_reason = desired, actor, reason
        if desired is Desired.RUN:
            self.acquit()
        self.nudge()

    def restart(self, actor: str, reason: str) -> None:
        """Start anew; drained, when it runs."""
        self._again = self.current is not None
        self.want(Desired.RUN, actor, reason)

    def pause(self, paused: bool) -> None:
        """Stop polling, or poll again."""
        self.record.paused = paused
        if self.worker is not None:
            self._tell(self.worker.pause if paused else self.worker.resume)
        self.record.note()

    def acquit(self) -> None:
        """Clear what is held against the bot; what waits for its time is tried at once."""
        record = self.record
        record.history, record.refused = CLEAN, False
        self._leave_hold()
        if record.phase in HELD_BACK and record.resting_place() is None:
            record.move(Cue.WANTED)
        record.note()
        self.nudge()

    def cut_short(self) -> None:
        """Let a drain end now: turns in flight are cancelled, their updates stay in the inbox."""
        if self.current is not None and self.current.draining and not self.current.cancelled:
            self._cancel(self.current)

    # --- what the watchdog says --------------------------------------------------------------------------------

    def hang(self, check: str, age_s: float) -> None:
        """Give up on a bot without progress: its worker is cancelled, and that counts as a failure."""
        if self.record.phase is not Phase.RUNNING or self._hung is not None:
            return
        self._hung = Failure(f"hung: no progress of its {check} for {age_s:.0f} s", f"Hung {check}")
        self.record.conditions.set(Condition.HUNG, True, self._hung.error)
        self.record.log(logging.ERROR, self._hung.error)
        self.record.publish(HealthCheckFailed, check=check, age_s=round(age_s, 1))
        self.nudge()

    def block(self, line: str) -> None:
        """Give up on a bot that blocks the event loop again and again: that counts as a failure, with its line."""
        if self.record.phase is not Phase.RUNNING or self._hung is not None:
            return
        self._hung = Failure(f"blocks the event loop again and again, at {line or 'an unknown line'}", "Blocks")
        self.record.log(logging.ERROR, self._hung.error)
        self.nudge()

    # --- the loop ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the bot until it was removed or closed. Cancelled, it cancels its worker and gives it 5 s to end."""
        try:
            while not self._is_over():
                self._nudged = anyio.Event()
                try:
                    wait_s = self._look()
                except Exception as error:  # noqa: BLE001 (a mistake here must not end the keeping of the others)
                    wait_s = self._survive(error)
                await self._wait(wait_s)
        finally:
            await self._abandon()

    def _is_over(self) -> bool:
        """Tell whether it rests for good; a file that came back since it was found to rest takes that back."""
        return self._over and (self.record.closing or self.record.removed)

    async def _wait(self, wait_s: float | None) -> None:
        if wait_s is None:
            await self._nudged.wait()
        elif wait_s > NOW:
            with self._house.services.clock.deadline(wait_s):
                await self._nudged.wait()
        else:
            await anyio.lowlevel.checkpoint()

    def _survive(self, error: Exception) -> float:
        self.record.log(logging.CRITICAL, "the keeper stumbled", error=error)
        if self.current is not None:
            self._cancel(self.current)
        elif self.active:
            self._retry(Cue.FAILED, f"the keeper stumbled: {type(error).__name__}", CAP_S)
        return 1.0

    async def _abandon(self) -> None:
        self._leave_queue()
        run = self.current
        if run is None or run.done:
            return
        self._cancel(run)
        with anyio.CancelScope(shield=True), self._house.services.clock.deadline(CLEANUP_S):
            await run.ended.wait()
        if not run.done:
            self._leave_behind(run)
