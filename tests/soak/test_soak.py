"""The soak, short: nothing is left over, every table within its bound. How memory grows takes minutes to be told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio

from store.retention import TABLES
from tests.bench.turns import make_database
from tests.soak.course import Plan, soak
from tests.soak.gauges import older, seed_old_rows
from tests.soak.life import DEEDS


def test_every_table_that_is_pruned_is_watched_and_given_a_past(tmp_path: Path) -> None:
    make_database(tmp_path / "past.db", lambda _: None)
    seed_old_rows(tmp_path / "past.db", ["a", "b"], 1, rows=200, over_s=600)
    with closing(sqlite3.connect(tmp_path / "past.db")) as connection:
        old = older(connection, 86_400)
    assert old.keys() == set(TABLES)
    assert 0 not in old.values()


def test_a_busy_life_leaves_nothing_behind(tmp_path: Path) -> None:
    plan = Plan(seconds=10, bots=6, rate_per_s=30, hurry=6, look_s=1, rows_per_bot=300, seeded=600, past_s=40_000)
    course = anyio.run(soak, plan, tmp_path, lambda _line: None, backend_options={"use_uvloop": True})
    course.judge(slope=False)
    assert course.wrong == []
    assert course.counts.keys() == DEEDS
    assert course.after is not None
    assert max(course.after.old.values()) < 20, "the rows that were old at the start have left"
