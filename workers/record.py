"""What is known of one bot: what is wanted, where it is, what it has been through. The greater part is written down."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from config.vocabulary import Condition, Desired, Effect, Phase
from store.events import BotStarted, BotStopped, ConfigApplied, ConfigRejected, Event
from workers.backoff import CLEAN, History
from workers.conditions import Conditions
from workers.encoding import as_text
from workers.lifecycle import Cue, first_phase, move

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from store.bots import BotState
    from workers.services import Services
    from workers.worker import Vitals

logger = logging.getLogger("workers.keeper")

MOVING: Final = frozenset({Phase.QUEUED, Phase.STARTING, Phase.RUNNING, Phase.DRAINING})

_OUTLASTING: Final = {phase.value: phase for phase in (Phase.BACKOFF, Phase.QUARANTINED)}
_OF_THE_WORKER: Final = (Condition.POLLING, Condition.THROTTLED, Condition.TOKEN_IN_USE)


class Record:
    """One bot, as its keeper, its operator and the next process know it. Only its keeper changes it.

    on_change is called whenever there is something new to write down. phases counts the bots of the fleet by phase.
    spec is the last good one, of good_generation; None for a bot whose files never were good.
    """

    __slots__ = (
        "_on_change", "_phases", "_services", "_unannounced", "ambiguous_sends", "bot_id", "closing", "conditions",
        "config_error", "desired", "desired_actor", "desired_reason", "errors", "generation", "good_generation", "history", "inbox_open",
        "observed_generation", "outbox_open", "paused", "phase", "phase_reason", "refused", "removed", "restarts",
        "retry_at", "since", "spec", "telegram_id", "turns", "username",
    )  # fmt: skip

    def __init__(
        self,
        spec: BotSpec | None,
        state: BotState,
        services: Services,
        phases: Counter[Phase],
        on_change: Callable[[Record], None],
    ) -> None:
        self.bot_id = state.bot_id
        self.spec = spec
        self.desired = Desired.STOP if state.desired == Desired.STOP else Desired.RUN
        self.desired_actor, self.desired_reason = state.desired_actor, state.desired_reason
        self.paused = state.paused
        self.closing = self.removed = self.refused = False
        """The process ends; its file is gone; it was found to be invalid while it ran."""
        self.restarts, self.turns, self.errors = state.restarts, state.turns, state.errors
        self.ambiguous_sends = state.ambiguous_sends
        self.inbox_open = self.outbox_open = 0
        self.telegram_id, self.username = state.telegram_id, state.username
        self.generation, self.observed_generation = state.generation, state.observed_generation
        self.config_error = state.config_error
        self._services = services
        self._phases = phases
        self._on_change = on_change
        self._unannounced: tuple[tuple[str, ...], Effect | None] | None = None
        self.conditions = Conditions(services.clock, self.note, services.redact)
        self._take_up(spec, state)

    def _take_up(self, spec: BotSpec | None, state: BotState) -> None:
        """Go on where the last process stopped, unless the files say something else by now."""
        same_files = spec is not None and spec.digest == state.config_digest
        if spec is not None:
            self.config_error = ""
            self.conditions.set(Condition.CONFIG_CURRENT, True)
            self.generation += not same_files
        self.good_generation = self.generation
        self.phase = first_phase(
            valid=spec is not None,
            enabled=spec is not None and spec.config.enabled,
            desired=self.desired,
            stored=_OUTLASTING.get(state.phase) if same_files else None,
        )
        same_phase = self.phase == state.phase
        self.history = History(state.failures, state.backoff_level) if same_files or spec is None else CLEAN
        self.phase_reason = state.phase_reason if same_phase else ""
        self.since = state.phase_since_ms / 1000 if same_phase else self._services.clock.now()
        self.retry_at = state.retry_at_ms / 1000 if same_phase and state.retry_at_ms is not None else None
        self._phases[self.phase] += 1

    # --- what is wanted ----------------------------------------------------------------------------------------

    def resting_place(self) -> Phase | None:
        """Return the phase the bot is to rest in; None when it is to run."""
        if self.closing:  # what rests already is found like that by the next process
            return Phase.STOPPED if self.phase in MOVING else self.phase
        if self.removed:
            return Phase.STOPPED
        if self.spec is None:
            return Phase.INVALID
        if not self.spec.config.enabled:
            return Phase.DISABLED
        if self.desired is Desired.STOP:
            return Phase.STOPPED
        return Phase.INVALID if self.refused else None

    def reason_to_rest(self, place: Phase) -> str:
        """Say why, for people."""
        if place is Phase.DISABLED:
            return "enabled = false"
        if self.closing:
            return "the fleet stopped"
        return "its file is gone" if self.removed else f"stopped{by(self.desired_actor, self.desired_reason)}"

    # --- the phase ---------------------------------------------------------------------------------------------

    def move(self, cue: Cue, reason: str = "", *, retry_in_s: float | None = None) -> None:
        """Go to the next phase. Raises WrongPhase, and then nothing has changed."""
        following = move(self.phase, cue)
        self._phases[self.phase] -= 1
        self._phases[following] += 1
        self.phase, self.phase_reason = following, reason
        self.since = self._services.clock.now()
        self.retry_at = None if retry_in_s is None else self.since + retry_in_s
        self.log(logging.DEBUG, "%s%s", following.value, f": {reason}" if reason else "")
        self.note()

    def leave_fleet(self) -> None:
        """Be counted no more."""
        self._phases[self.phase] -= 1

    # --- the files ---------------------------------------------------------------------------------------------

    def change(self, spec: BotSpec, effect: Effect | None, keys: tuple[str, ...]) -> None:
        """Take over other files; they are announced once they are live."""
        earlier = self._unannounced[0] if self._unannounced else ()
        self._unannounced = (tuple(dict.fromkeys((*earlier, *keys))), effect)
        self.spec, self.removed = spec, False
        self.generation += 1
        self.good_generation = self.generation
        self.config_error = ""
        self.conditions.set(Condition.CONFIG_CURRENT, True)
        self.note()

    def reject(self, problems: tuple[str, ...]) -> None:
        """Note that the files are bad now; the last good ones stay in force."""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        error = f"{problems[0]}{more}" if problems else "its file is not valid"
        self.generation += error != self.config_error
        self.config_error, self.removed = error, False
        if self.spec is None:
            self.phase_reason = error
        self.conditions.set(Condition.CONFIG_CURRENT, False, error)
        self.log(logging.ERROR, "configuration rejected: %s", "; ".join(problems))
        self.publish(ConfigRejected, problems=problems)
        self.note()

    def observe(self, generation: int) -> None:
        """Note that the files of that generation are live."""
        if generation <= self.observed_generation:
            return
        self.observed_generation = generation
        if self._unannounced is not None and generation == self.good_generation:
            keys, effect = self._unannounced
            self._unannounced = None
            self.log(logging.INFO, "configuration applied (%s)", ", ".join(keys) or "as before")
            self.publish(ConfigApplied, keys=keys, effect=effect.value if effect else "", generation=generation)
        self.note()

    # --- the worker --------------------------------------------------------------------------------------------

    def become_ready(self, generation: int) -> None:
        """Note that a worker serves, made from the files of that generation."""
        self.move(Cue.READY)
        self.conditions.set(Condition.READY, True)
        self.conditions.set(Condition.HUNG, False)
        self.log(logging.INFO, "running")
        self.publish(BotStarted, generation=generation)
        self.observe(generation)

    def end_run(self, seen: Vitals | None) -> None:
        """Note that there is no worker any more, and add what it had counted."""
        self.conditions.set(Condition.READY, False)
        self.conditions.forget(*_OF_THE_WORKER)
        if seen is None:
            return
        self.turns += seen.turns
        self.errors += seen.errors
        self.ambiguous_sends += seen.ambiguous_sends
        self.inbox_open, self.outbox_open = seen.inbox_open, seen.outbox_open
        if seen.identity is not None:
            self.telegram_id, self.username = seen.identity.id, seen.identity.username

    def come_to_rest(self, place: Phase) -> None:
        """Rest in `place`, which is stopped or disabled."""
        reason = self.reason_to_rest(place)
        self.move(Cue.SHUT_OFF if place is Phase.DISABLED else Cue.HALTED, reason)
        self.log(logging.INFO, "%s: %s", place.value, reason)
        self.publish(BotStopped, reason=reason)

    # --- telling others ----------------------------------------------------------------------------------------

    def note(self) -> None:
        """Have the record written down."""
        self._on_change(self)

    def publish(self, kind: type[Event], **data: Any) -> None:
        """Publish an event of this bot, now."""
        self._services.bus.publish(kind(bot_id=self.bot_id, at=self._services.clock.now(), **data))

    def log(self, level: int, text: str, *arguments: object, error: BaseException | None = None) -> None:
        """Write a log line of this bot."""
        logger.log(level, text, *arguments, exc_info=error, extra={"bot_id": self.bot_id})

    def columns(self) -> dict[str, Any]:
        """Return what is written down. Intents are not among it: who has one writes it first."""
        return {
            "name": self.spec.config.name if self.spec else "",
            "phase": self.phase.value,
            "phase_reason": self.phase_reason,
            "phase_since_ms": int(self.since * 1000),
            "conditions": as_text(self.conditions.as_dict()),
            "restarts": self.restarts,
            "failures": self.history.failures,
            "backoff_level": self.history.level,
            "retry_at_ms": None if self.retry_at is None else int(self.retry_at * 1000),
            "generation": self.generation,
            "observed_generation": self.observed_generation,
            "config_digest": self.spec.digest if self.spec else "",
            "config_error": self.config_error,
        }


def by(actor: str, reason: str) -> str:
    """Return " by ana: maintenance", as far as it is known."""
    return (f" by {actor}" if actor else "") + (f": {reason}" if reason else "")
