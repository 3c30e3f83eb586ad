"""What is true of a bot beside its phase, each with its reason and since when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from config.vocabulary import Condition
from workers.clock import Clock
from workers.redaction import by_shape


class ConditionState(NamedTuple):
    """One condition. status None = not known; since is Unix seconds and moves only with the status.

    reason and message hold no secrets; given is what they were cleaned from, to tell a new text from a known one.
    """

    status: bool | None
    reason: str
    message: str
    since: float
    given: tuple[str, str]


def _ignore() -> None:
    """Nobody wants to know."""


def _shown(state: ConditionState) -> dict[str, Any]:
    return {"status": state.status, "reason": state.reason, "message": state.message, "since": state.since}


class Conditions:
    """The conditions of one bot; what was never set is not known.

    on_change is called after each change of a status, a reason or a message; it must not wait or raise. clean takes
    secrets out of reasons and messages: servers quote what they were sent, and conditions are shown and stored.
    """

    __slots__ = ("_clean", "_clock", "_on_change", "_shown", "_states")

    def __init__(
        self, clock: Clock, on_change: Callable[[], None] = _ignore, clean: Callable[[str], str] = by_shape
    ) -> None:
        self._clean = clean
        self._clock = clock
        self._on_change = on_change
        self._states: dict[Condition, ConditionState] = {}
        self._shown: dict[str, dict[str, Any]] | None = None

    def set(self, condition: Condition, status: bool | None, reason: str = "", message: str = "") -> bool:
        """Note a condition; tell whether its status changed. Setting what is known already costs next to nothing."""
        known, given = self._states.get(condition), (reason, message)
        if known is None or known.status is not status:
            changed, since = True, self._clock.now()
        elif known.given == given:
            return False
        else:
            changed, since = False, known.since
        state = ConditionState(status, self._clean(reason), self._clean(message), since, given)
        self._states[condition] = state
        # One of them changes far more often than the set of them does.
        self._shown = {**self._shown, condition.value: _shown(state)} if self._shown and known else None
        self._on_change()
        return changed

    def get(self, condition: Condition) -> bool | None:
        """Return the status; None when it is not known."""
        state = self._states.get(condition)
        return state.status if state is not None else None

    def since(self, condition: Condition) -> float | None:
        """Return since when the status is what it is, in Unix seconds; None when it is not known."""
        state = self._states.get(condition)
        return state.since if state is not None else None

    def forget(self, *conditions: Condition) -> None:
        """Let conditions be unknown again, as after a stop."""
        known = [condition for condition in conditions if self._states.pop(condition, None) is not None]
        if known:
            self._shown = None
            self._on_change()

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return name → {status, reason, message, since}, JSON-ready, in the order of the vocabulary.

        The same object is returned until something changes: read it, do not write into it.
        """
        if self._shown is None:
            self._shown = {c.value: _shown(self._states[c]) for c in Condition if c in self._states}
        return self._shown
