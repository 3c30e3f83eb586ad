"""What an operator sees of a bot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from config.vocabulary import Phase

if TYPE_CHECKING:
    from workers.record import Record
    from workers.worker import Vitals

RESTING: Final = frozenset({Phase.DISABLED, Phase.STOPPED})


@dataclass(slots=True)
class BotStatus:
    """One bot at one moment. Times are Unix seconds, ages seconds.

    generation counts the states of its files, good or bad; observed_generation is the last one that is live. failures
    are those held against the bot, oldest first: {at, fingerprint}.
    """

    bot_id: str
    name: str
    phase: Phase
    phase_reason: str
    conditions: dict[str, dict[str, Any]]
    desired: str
    desired_actor: str
    desired_reason: str
    paused: bool
    since: float
    telegram: dict[str, Any] | None
    last_poll_age_s: float | None
    inbox_open: int
    inbox_age_s: float | None
    outbox_open: int
    in_turn: int
    turns: int
    errors: int
    restarts: int
    ambiguous_sends: int
    retry_at: float | None
    failures: list[dict[str, Any]]
    generation: int
    observed_generation: int
    config_error: str

    @property
    def as_wanted(self) -> bool:
        """Whether the bot is where its operator and its file want it: running, or at rest on purpose."""
        return self.phase is Phase.RUNNING or self.phase in RESTING

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, JSON-ready. The conditions are shared with the bot: read only."""
        return {name: getattr(self, name) for name in self.__slots__}


def status_of(record: Record, seen: Vitals | None) -> BotStatus:
    """Return what is shown of a bot; seen are its worker's vitals while it has one. Takes some 10 µs."""
    identity = seen.identity if seen is not None else None
    telegram_id = record.telegram_id if identity is None else identity.id
    username = record.username if identity is None else identity.username
    failures = record.history.failures
    spec = record.spec
    return BotStatus(
        bot_id=record.bot_id,
        name=(spec.config.name if spec is not None else "") or record.bot_id,
        phase=record.phase,
        phase_reason=record.phase_reason,
        conditions=record.conditions.as_dict(),
        desired=record.desired.value,
        desired_actor=record.desired_actor,
        desired_reason=record.desired_reason,
        paused=record.paused,
        since=record.since,
        # The loopback channel of `channel = "none"` calls itself 0.
        telegram={"id": telegram_id, "username": username} if telegram_id else None,
        last_poll_age_s=seen.last_poll_age_s if seen is not None else None,
        inbox_open=seen.inbox_open if seen is not None else record.inbox_open,
        inbox_age_s=seen.inbox_age_s if seen is not None else None,
        outbox_open=seen.outbox_open if seen is not None else record.outbox_open,
        in_turn=seen.in_turn if seen is not None else 0,
        turns=record.turns + (seen.turns if seen is not None else 0),
        errors=record.errors + (seen.errors if seen is not None else 0),
        restarts=record.restarts,
        ambiguous_sends=record.ambiguous_sends + (seen.ambiguous_sends if seen is not None else 0),
        retry_at=record.retry_at,
        failures=[{"at": at / 1000, "fingerprint": alike} for at, alike in failures] if failures else [],
        generation=record.generation,
        observed_generation=record.observed_generation,
        config_error=record.config_error,
    )
