"""The life of a bot is a table: every edge, and nothing but the edges."""

from __future__ import annotations

from itertools import product

import pytest

from config.vocabulary import Desired, Phase
from workers.errors import WrongPhase
from workers.lifecycle import EDGES, Cue, first_phase, move

TABLE = """
disabled     wanted    queued
disabled     halted    stopped
invalid      wanted    queued
invalid      halted    stopped
invalid      shut off  disabled
queued       granted   starting
queued       halted    stopped
queued       shut off  disabled
starting     ready     running
starting     failed    backoff
starting     condemned quarantined
starting     refused   invalid
starting     drain     draining
running      failed    backoff
running      condemned quarantined
running      refused   invalid
running      drain     draining
draining     again     queued
draining     halted    stopped
draining     shut off  disabled
stopped      wanted    queued
stopped      shut off  disabled
backoff      due       queued
backoff      wanted    queued
backoff      halted    stopped
backoff      shut off  disabled
quarantined  due       queued
quarantined  wanted    queued
quarantined  forgiven  backoff
quarantined  halted    stopped
quarantined  shut off  disabled
"""


def edges() -> list[tuple[Phase, Cue, Phase]]:
    found = []
    for line in TABLE.strip().splitlines():
        phase, *cue, following = line.split()
        found.append((Phase(phase), Cue(" ".join(cue)), Phase(following)))
    return found


MISSING = sorted(set(product(Phase, Cue)) - {(phase, cue) for phase, cue, _ in edges()})


@pytest.mark.parametrize(("phase", "cue", "following"), edges())
def test_an_edge_leads_where_the_table_says(phase: Phase, cue: Cue, following: Phase) -> None:
    """Each edge of the table is there and leads to its phase."""
    assert move(phase, cue) is following


@pytest.mark.parametrize(("phase", "cue"), MISSING)
def test_what_is_no_edge_is_refused(phase: Phase, cue: Cue) -> None:
    """Each pair that is not in the table raises WrongPhase, naming both and what is possible."""
    with pytest.raises(WrongPhase, match=f"{phase.value} cannot be {cue.value}"):
        move(phase, cue)


def test_the_table_has_no_other_edges() -> None:
    """The code knows exactly the edges written here."""
    assert len(EDGES) == len(edges())


def test_no_phase_is_a_trap_and_none_is_out_of_reach() -> None:
    """From every phase every other can be reached: a bot never gets stuck for good."""
    for begin in Phase:
        seen = {begin}
        frontier = [begin]
        while frontier:
            at = frontier.pop()
            for (phase, _), following in EDGES.items():
                if phase is at and following not in seen:
                    seen.add(following)
                    frontier.append(following)
        assert seen == set(Phase)


def test_only_a_worker_with_a_slot_is_alive() -> None:
    """starting is entered with a slot only, running from starting only."""
    assert [phase for (phase, _), to in EDGES.items() if to is Phase.STARTING] == [Phase.QUEUED]
    assert [phase for (phase, _), to in EDGES.items() if to is Phase.RUNNING] == [Phase.STARTING]


@pytest.mark.parametrize(
    ("valid", "enabled", "desired", "stored", "first"),
    [
        (False, True, Desired.RUN, Phase.RUNNING, Phase.INVALID),
        (False, True, Desired.STOP, Phase.STOPPED, Phase.INVALID),
        (True, False, Desired.RUN, Phase.RUNNING, Phase.DISABLED),
        (True, False, Desired.STOP, Phase.QUARANTINED, Phase.DISABLED),
        (True, True, Desired.STOP, Phase.RUNNING, Phase.STOPPED),
        (True, True, Desired.STOP, Phase.BACKOFF, Phase.STOPPED),
        (True, True, Desired.RUN, Phase.BACKOFF, Phase.BACKOFF),
        (True, True, Desired.RUN, Phase.QUARANTINED, Phase.QUARANTINED),
        (True, True, Desired.RUN, Phase.INVALID, Phase.QUEUED),
        (True, True, Desired.RUN, Phase.RUNNING, Phase.QUEUED),
        (True, True, Desired.RUN, Phase.STOPPED, Phase.QUEUED),
        (True, True, Desired.RUN, None, Phase.QUEUED),
    ],
)
def test_the_first_phase(valid: bool, enabled: bool, desired: Desired, stored: Phase | None, first: Phase) -> None:
    """A process takes bots up where files and intent put them; back-off and quarantine outlive the last process."""
    assert first_phase(valid=valid, enabled=enabled, desired=desired, stored=stored) is first
