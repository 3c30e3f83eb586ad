"""The life of a bot as a table: in which phase, what may happen, and which phase follows.

Pure: nothing here waits, writes or knows a bot. The keeper is the only one who moves a bot, and only by `move`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from config.vocabulary import Desired, Phase
from workers.errors import WrongPhase


class Cue(StrEnum):
    """What can happen to a bot."""

    WANTED = "wanted"  # the operator or the files want it to run, or to be tried at once
    GRANTED = "granted"  # it was given a start slot
    READY = "ready"  # its worker is about to poll
    FAILED = "failed"  # its worker crashed or hung; it will be tried again
    CONDEMNED = "condemned"  # it failed alike too often
    FORGIVEN = "forgiven"  # half the fleet failed like it: it was not its own fault
    REFUSED = "refused"  # it cannot run until something changes
    DUE = "due"  # the time for another try has come
    DRAIN = "drain"  # stop or restart, without cutting anybody off
    AGAIN = "again"  # drained for a restart
    HALTED = "halted"  # at rest because somebody said stop, or the process ends
    SHUT_OFF = "shut off"  # at rest because its file says `enabled = false`


_WAITING: Final = (Phase.QUEUED, Phase.INVALID, Phase.BACKOFF, Phase.QUARANTINED)
_ALIVE: Final = (Phase.STARTING, Phase.RUNNING)


def _edges() -> dict[tuple[Phase, Cue], Phase]:
    edges = {
        (Phase.QUEUED, Cue.GRANTED): Phase.STARTING,
        (Phase.STARTING, Cue.READY): Phase.RUNNING,
        (Phase.DRAINING, Cue.AGAIN): Phase.QUEUED,
        (Phase.BACKOFF, Cue.DUE): Phase.QUEUED,
        (Phase.QUARANTINED, Cue.DUE): Phase.QUEUED,
        (Phase.QUARANTINED, Cue.FORGIVEN): Phase.BACKOFF,
        (Phase.DISABLED, Cue.HALTED): Phase.STOPPED,
        (Phase.STOPPED, Cue.SHUT_OFF): Phase.DISABLED,
    }
    for phase in (Phase.DISABLED, Phase.STOPPED, Phase.INVALID, Phase.BACKOFF, Phase.QUARANTINED):
        edges[phase, Cue.WANTED] = Phase.QUEUED
    for phase in _ALIVE:
        edges[phase, Cue.FAILED] = Phase.BACKOFF
        edges[phase, Cue.CONDEMNED] = Phase.QUARANTINED
        edges[phase, Cue.REFUSED] = Phase.INVALID
        edges[phase, Cue.DRAIN] = Phase.DRAINING
    for phase in (*_WAITING, Phase.DRAINING):
        edges[phase, Cue.HALTED] = Phase.STOPPED
        edges[phase, Cue.SHUT_OFF] = Phase.DISABLED
    return edges


EDGES: Final[Mapping[tuple[Phase, Cue], Phase]] = MappingProxyType(_edges())
"""(phase, cue) → the phase that follows. What is not here cannot happen."""


def move(phase: Phase, cue: Cue) -> Phase:
    """Return the phase that follows. Raises WrongPhase when cue cannot happen in phase."""
    following = EDGES.get((phase, cue))
    if following is None:
        possible = ", ".join(each.value for at, each in EDGES if at is phase)
        raise WrongPhase(f"a bot that is {phase.value} cannot be {cue.value}", f"possible: {possible}")
    return following


def first_phase(*, valid: bool, enabled: bool, desired: Desired, stored: Phase | None) -> Phase:
    """Return the phase a bot begins in when the process starts or its file appears.

    stored is the phase last written down: back-off and quarantine outlive the process, so that restarting it is no
    amnesty. A bot found invalid is tried again: what was wrong may have been put right meanwhile.
    """
    if not valid:
        return Phase.INVALID
    if not enabled:
        return Phase.DISABLED
    if desired is Desired.STOP:
        return Phase.STOPPED
    if stored in {Phase.BACKOFF, Phase.QUARANTINED}:
        return stored
    return Phase.QUEUED
