"""What a status means: who falls short of what is wanted, what else is amiss, and who needs looking at first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from config.vocabulary import Condition, Desired, Phase
from console.control import BotRow

ORDER: Final = (
    Phase.QUARANTINED,
    Phase.INVALID,
    Phase.BACKOFF,
    Phase.DRAINING,
    Phase.STARTING,
    Phase.QUEUED,
    Phase.RUNNING,
    Phase.STOPPED,
    Phase.DISABLED,
)
"""Phases, the one that needs a person first."""

_RANKS: Final = {phase.value: rank for rank, phase in enumerate(ORDER)}

_BAD_WHEN: Final = {
    Condition.TOKEN_IN_USE: True,
    Condition.HUNG: True,
    Condition.CONFIG_CURRENT: False,
    Condition.POLLING: False,
    Condition.MODEL_REACHABLE: False,
    Condition.THROTTLED: True,
    Condition.READY: False,
}
"""The status at which a condition is bad news, the worst first."""

_BAD_STATUS: Final = {condition.value: status for condition, status in _BAD_WHEN.items()}

_SETTLED: Final = frozenset({Phase.STOPPED, Phase.DISABLED})


def troubles(row: BotRow) -> list[str]:
    """Return what is amiss beside the phase, the worst first: "token_in_use: …"."""
    if row["phase"] in _SETTLED:
        return [f"{Condition.CONFIG_CURRENT}: {row['config_error']}"] if row["config_error"] else []
    found = ((c, row["conditions"].get(c)) for c in _BAD_WHEN)
    return [_words(c, state) for c, state in found if state and state["status"] is _BAD_WHEN[c]]


def _words(condition: Condition, state: dict[str, Any]) -> str:
    name = condition if _BAD_WHEN[condition] else f"not {condition}"
    return f"{name}: {state['reason']}" if state.get("reason") else name


def falls_short(row: BotRow) -> bool:
    """Tell whether a bot should run and does not."""
    if row["desired"] != Desired.RUN or row["phase"] == Phase.DISABLED:
        return False
    return row["phase"] != Phase.RUNNING


def degraded(row: BotRow) -> bool:
    """Tell whether anything is amiss beside the phase: whether there are `troubles`. Every bot is asked when a list is sorted."""
    if row["phase"] in _SETTLED:
        return bool(row["config_error"])
    known = row["conditions"]
    for name, status in _BAD_STATUS.items():
        state = known.get(name)
        if state and state["status"] is status:
            return True
    return False


def worst_first(rows: Iterable[BotRow]) -> list[BotRow]:
    """Return rows sorted by how much they need a person, then by bot_id."""
    return sorted(rows, key=need)


def need(row: BotRow) -> tuple[int, bool, str]:
    """Return where a bot stands in that order: the smallest needs a person first."""
    return phase_rank(row["phase"]), not degraded(row), row["bot_id"]


def phase_rank(phase: str) -> int:
    """Return where a phase stands among those that need a person, 0 = first; -1 for one this program does not know."""
    # Of a newer fleet: somebody should look.
    return _RANKS.get(phase, -1)
