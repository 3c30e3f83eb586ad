"""The campaigns of `make chaos`, short: people write, a real fleet is ended and started again, an oracle judges."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.campaign import Plan, run
from tests.chaos.editor import EDITS
from tests.chaos.weather import KINDS

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

SIZE: dict[str, Any] = {"bots": 6, "chats": 40, "life_s": (0.1, 1.5)}


@pytest.mark.parametrize(
    "plan",
    [
        Plan("calm", 3, 1, **SIZE),
        Plan("storm", 3, 2, storm=True, **SIZE),
        Plan("sigterm", 3, 3, signal.SIGTERM, **SIZE),
    ],
    ids=lambda plan: plan.name,
)
async def test_every_promise_is_kept(plan: Plan, tmp_path: Path) -> None:
    """Answered, once but for what was in doubt, in order; every doubt counted; the database whole after each end.

    In a storm every kind of fault and edit has struck.
    """
    report = await run(plan, tmp_path)
    assert report.verdict.wrong == []
    assert report.verdict.said > 50
    assert report.checks == plan.ends + 1
    assert set(report.struck) == ({*KINDS, *EDITS} if plan.storm else set())
