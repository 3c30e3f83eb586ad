"""The soak, short: nothing is left over, every table within its bound. How memory grows takes minutes to be told."""

from __future__ import annotations

from pathlib import Path

import anyio

from tests.soak.course import Plan, soak


def test_a_busy_life_leaves_nothing_behind(tmp_path: Path) -> None:
    plan = Plan(seconds=10, bots=6, rate_per_s=30, hurry=6, look_s=1, rows_per_bot=300, seeded=600, past_s=40_000)
    course = anyio.run(soak, plan, tmp_path, lambda _line: None, backend_options={"use_uvloop": True})
    course.judge(slope=False)
    assert course.wrong == []
    assert course.after is not None
    assert course.after.old_rows < 100, "the rows that were old at the start have left"
    assert min(course.counts.values()) > 0
