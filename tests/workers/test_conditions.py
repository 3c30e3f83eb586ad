"""What is true of a bot beside its phase."""

from __future__ import annotations

import pytest

from config.vocabulary import Condition
from workers.clock import ManualClock
from workers.conditions import Conditions

pytestmark = pytest.mark.anyio


async def test_a_condition_knows_since_when(clock: ManualClock) -> None:
    """`since` moves with the status, not with the reason; `set` tells only of a changed status."""
    conditions = Conditions(clock)
    began = clock.now()
    assert conditions.set(Condition.POLLING, False, "no network")
    await clock.advance(10)
    assert not conditions.set(Condition.POLLING, False, "no name server")
    assert conditions.since(Condition.POLLING) == began
    assert conditions.as_dict()["polling"] == {
        "status": False, "reason": "no name server", "message": "", "since": began,
    }  # fmt: skip
    assert conditions.set(Condition.POLLING, True)
    assert conditions.since(Condition.POLLING) == began + 10


def test_what_was_never_set_is_not_known(clock: ManualClock) -> None:
    """An unknown condition is None, not False, and is not shown."""
    conditions = Conditions(clock)
    assert conditions.get(Condition.HUNG) is None
    assert conditions.since(Condition.HUNG) is None
    assert conditions.as_dict() == {}


def test_every_change_is_told_and_nothing_else(clock: ManualClock) -> None:
    """on_change is called for a status, a reason, a message and a forgetting, never for what is known already."""
    told: list[int] = []
    conditions = Conditions(clock, lambda: told.append(len(told)))
    conditions.set(Condition.READY, True)
    conditions.set(Condition.READY, True)
    conditions.set(Condition.READY, True, "why")
    conditions.set(Condition.READY, True, "why", "more")
    conditions.set(Condition.READY, True, "why", "more")
    assert len(told) == 3
    conditions.forget(Condition.POLLING)
    assert len(told) == 3
    conditions.forget(Condition.READY, Condition.POLLING)
    assert len(told) == 4


def test_a_reason_holds_no_secret_and_is_cleaned_once(clock: ManualClock) -> None:
    """Whoever sets it: servers quote what they were sent. What is known already is not looked through again."""
    cleaned: list[str] = []

    def clean(text: str) -> str:
        cleaned.append(text)
        return text.replace("hunter22", "***")

    conditions = Conditions(clock, clean=clean)
    for _ in range(3):
        conditions.set(Condition.MODEL_REACHABLE, False, "not hunter22", "nor hunter22")
    assert conditions.as_dict()["model_reachable"]["reason"] == "not ***"
    assert conditions.as_dict()["model_reachable"]["message"] == "nor ***"
    assert cleaned == ["not hunter22", "nor hunter22"]
    conditions.set(Condition.MODEL_REACHABLE, True, "b answers in its place: hunter22")
    assert "hunter22" not in str(conditions.as_dict())


def test_what_is_shown_follows_every_change(clock: ManualClock) -> None:
    """The dictionary is kept while nothing changes and never stale, in the order of the vocabulary."""
    conditions = Conditions(clock)
    conditions.set(Condition.HUNG, False)
    conditions.set(Condition.READY, True)
    shown = conditions.as_dict()
    assert conditions.as_dict() is shown
    assert list(shown) == ["ready", "hung"]
    conditions.forget(Condition.HUNG)
    assert list(conditions.as_dict()) == ["ready"]
