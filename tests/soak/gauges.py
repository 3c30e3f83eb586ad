"""What a soak watches of its fleet, and what it makes of it."""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from store.retention import JOURNALS, NEWS
from tests.bench.measure import sample

WAL_LIMIT_BYTES: Final = 96 * 1024 * 1024
"""The 64 MiB the log is cut back to, and what is written while a copy reads the file, for so long it only grows."""
WALK_S: Final = 600.0
"""How often botdeck looks for rows past their time; they may stand for so long, and for what the walk takes."""
WALK_SLACK_S: Final = 60.0
"""What the first walk, and each later one, may take."""
DAY_S: Final = 86_400.0
TRIM_SLACK: Final = 1500
"""Rows a journal may gain until it is looked at again."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look. at_s counts from the start of the soak; overdue are rows that should have left long ago."""

    at_s: float
    rss_kib: int
    tasks: int
    threads: int
    descriptors: int
    wal_bytes: int
    journal_rows: int
    overdue: int
    old_rows: int
    lag_ms: float


class Gauges:
    """Reads the kernel's and the database's account of one process. Blocks."""

    def __init__(self, pid: int, database: Path, report: Path, days: int) -> None:
        self._pid = pid
        self._database = database
        self._report = report
        self._days = days
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the gauges were made."""
        return time.monotonic() - self._began

    def read(self) -> Reading:
        """Look once."""
        seen, told = sample(self._pid), json.loads(self._report.read_text())
        wal = self._database.with_name(self._database.name + "-wal")
        with closing(sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True)) as connection:
            longest = max(self._longest(connection, table) for table in JOURNALS)
            overdue = self._older(connection, self._days * DAY_S + WALK_S + WALK_SLACK_S)
            old = self._older(connection, self._days * DAY_S)
        return Reading(
            at_s=self.elapsed_s,
            rss_kib=seen.rss_kib,
            tasks=int(told["tasks"]),
            threads=len(list(Path(f"/proc/{self._pid}/task").iterdir())),
            descriptors=seen.descriptors,
            wal_bytes=wal.stat().st_size if wal.exists() else 0,
            journal_rows=longest,
            overdue=overdue,
            old_rows=old,
            lag_ms=float(told["lag_ms"]),
        )

    def open_files(self) -> Counter[str]:
        """Return what the descriptors are, by kind or path: to be told when some are left over."""
        found: Counter[str] = Counter()
        for link in Path(f"/proc/{self._pid}/fd").iterdir():
            with suppress(OSError):
                found[str(link.readlink()).partition(":[")[0]] += 1
        return found

    def _longest(self, connection: sqlite3.Connection, table: str) -> int:
        rows = connection.execute(f"SELECT count(*) FROM {table} GROUP BY bot_id ORDER BY 1 DESC LIMIT 1").fetchone()
        return rows[0] if rows else 0

    def _older(self, connection: sqlite3.Connection, age_s: float) -> int:
        before_ms = int((time.time() - age_s) * 1000)
        return sum(
            connection.execute(f"SELECT count(*) FROM {table} WHERE {column} < ?", (before_ms,)).fetchone()[0]
            for table, column in SEEDED.items()
        )


SEEDED: Final = {"messages": "created_ms", "logs": "at_ms", "usage": "at_ms"}
"""Tables that are given rows which go out of date during the soak, and what tells their age."""


def slope_kib_per_10_min(readings: list[Reading]) -> float:
    """Return how RSS grows, as the median of the slopes between all pairs (Theil and Sen): one spike tells nothing."""
    thinned = readings[:: max(1, len(readings) // 300)]
    slopes = [(b.rss_kib - a.rss_kib) / (b.at_s - a.at_s) for a, b in combinations(thinned, 2) if b.at_s > a.at_s]
    return statistics.median(slopes) * 600 if slopes else 0.0


def journal_bound(rows_per_bot: int) -> int:
    """Return what a journal may have at most while it is kept at rows_per_bot."""
    return rows_per_bot + min(NEWS, max(1, rows_per_bot // 10)) + TRIM_SLACK


def seed_old_rows(database: Path, bots: list[str], days: int, *, rows: int, over_s: float) -> None:
    """Put rows into a database nobody uses: half are past their days already, the others will be within over_s."""
    now_s = time.time()
    with closing(sqlite3.connect(database)) as connection, connection:
        for bot in bots:
            connection.execute(
                "INSERT OR IGNORE INTO conversations(bot_id, client_id, conversation_id, last_seq, created_ms, updated_ms)"
                " VALUES (?, '', 'past', ?, 0, ?)",
                (bot, rows, int(now_s * 1000)),
            )
            for number in range(rows):
                share = (number - rows / 2) / (rows / 2)  # -1 … 1; what is below 0 is old already
                at_ms = int((now_s - days * DAY_S + share * over_s) * 1000)
                _seed_row(connection, bot, number + 1, at_ms)


def _seed_row(connection: sqlite3.Connection, bot: str, number: int, at_ms: int) -> None:
    connection.execute(
        "INSERT INTO messages(bot_id, client_id, conversation_id, seq, role, content, created_ms)"
        " VALUES (?, '', 'past', ?, 'user', 'long ago', ?)",
        (bot, number, at_ms),
    )
    connection.execute(
        "INSERT INTO logs(bot_id, log_id, at_ms, level, logger, text) VALUES (?, ?, ?, 20, 'past', 'long ago')",
        (bot, at_ms * 1000 + number, at_ms),
    )
    connection.execute(
        "INSERT INTO usage(bot_id, usage_id, at_ms, client_id, conversation_id, user_id, provider, model, input_tokens,"
        " output_tokens, cached_tokens, latency_ms) VALUES (?, ?, ?, '', 'past', '', 'echo', '', 1, 1, 0, 1)",
        (bot, at_ms * 1000 + number, at_ms),
    )
