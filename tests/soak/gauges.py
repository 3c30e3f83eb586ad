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

from store.jobs import CHECKPOINT_BYTES
from store.opening import WAL_LIMIT_BYTES
from store.retention import JOURNALS, NEWS
from tests.bench.measure import sample

LOG_BYTES: Final = WAL_LIMIT_BYTES + CHECKPOINT_BYTES
"""The log is cut back to the first, and copied at the latest when it has grown by the second."""
WALK_S: Final = 600.0
"""How often botdeck looks for rows past their time; they may stand for so long, and for what the walk takes."""
WALK_SLACK_S: Final = 120.0
"""What the first walk, and each later one, may take."""
DAY_S: Final = 86_400.0
TRIM_SLACK: Final = 600
"""Rows a journal may gain until it is looked at again: some two a second, for 10 s, or for as long as a walk takes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look. at_s counts from the start of the soak.

    old, by_overdue: rows of each table that are past their days, and those that should have left long ago.
    """

    at_s: float
    rss_kib: int
    tasks: int
    threads: int
    descriptors: int
    wal_bytes: int
    journal_rows: int
    old: dict[str, int]
    by_overdue: dict[str, int]
    lag_ms: float

    @property
    def old_rows(self) -> int:
        """Rows past their days."""
        return sum(self.old.values())

    @property
    def overdue(self) -> int:
        """Rows that should have left long ago."""
        return sum(self.by_overdue.values())


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
            overdue = older(connection, self._days * DAY_S + WALK_S + WALK_SLACK_S)
            old = older(connection, self._days * DAY_S)
        return Reading(
            at_s=self.elapsed_s,
            rss_kib=seen.rss_kib,
            tasks=int(told["tasks"]),
            threads=len(list(Path(f"/proc/{self._pid}/task").iterdir())),
            descriptors=seen.descriptors,
            wal_bytes=wal.stat().st_size if wal.exists() else 0,
            journal_rows=longest,
            old=old,
            by_overdue=overdue,
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


AGES_MS: Final = {
    "updates": "finished_ms",
    "outbox": "finished_ms",
    "messages": "created_ms",
    "conversations": "updated_ms",
    "summaries": "updated_ms",
    "profiles": "updated_ms",
    "chats": "updated_ms",
    "events": "at_ms",
    "logs": "at_ms",
    "metrics": "60000 * (minute + 1)",
    "usage": "at_ms",
}
"""Every table that is pruned, and what tells the age of a row; all are given rows that go out of date during the soak."""


def older(connection: sqlite3.Connection, age_s: float) -> dict[str, int]:
    """Return how many rows of each table are older; open work has no age."""
    before_ms = int((time.time() - age_s) * 1000)
    return {
        table: connection.execute(f"SELECT count(*) FROM {table} WHERE {age_ms} < ?", (before_ms,)).fetchone()[0]
        for table, age_ms in AGES_MS.items()
    }


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
    due_ms = int((time.time() - days * DAY_S) * 1000)
    shares = [(number - rows / 2) / (rows / 2) for number in range(rows)]  # -1 … 1; what is below 0 is old already
    past = [(number, due_ms + int(share * over_s * 1000)) for number, share in enumerate(shares, start=1)]
    with closing(sqlite3.connect(database)) as connection, connection:
        for bot in bots:
            for statement, every in PAST.items():
                given = ({"bot": bot, "number": number, "at_ms": at_ms} for number, at_ms in past[::every])
                connection.executemany(statement, given)


PEOPLE: Final = 20
"""One row of a person or a chat comes with so many of what was said and done."""

PAST: Final = {
    "INSERT INTO updates(bot_id, update_id, arrival, lane, payload, received_ms, finished_ms, outcome)"
    " VALUES (:bot, -1000000 + :number, 0, 'past', '', :at_ms, :at_ms, 'answered')": 1,
    "INSERT INTO outbox(bot_id, outbox_id, chat_id, lane, part, parts, method, params, state, created_ms, finished_ms)"
    " VALUES (:bot, :at_ms * 1000 + :number, 1, 'past', 1, 1, 'sendMessage', '', 'sent', :at_ms, :at_ms)": 1,
    "INSERT INTO messages(bot_id, client_id, conversation_id, seq, role, content, created_ms)"
    " VALUES (:bot, '', 'past', :number, 'user', 'long ago', :at_ms)": 1,
    "INSERT INTO conversations(bot_id, client_id, conversation_id, last_seq, created_ms, updated_ms)"
    " VALUES (:bot, '', 'past', :number, 0, :at_ms) ON CONFLICT DO UPDATE SET last_seq = :number, updated_ms = :at_ms": 1,
    "INSERT INTO conversations(bot_id, client_id, conversation_id, created_ms, updated_ms)"
    " VALUES (:bot, '', 'past ' || :number, :at_ms, :at_ms)": PEOPLE,
    "INSERT INTO summaries(bot_id, client_id, conversation_id, upto_seq, text, updated_ms)"
    " VALUES (:bot, '', 'past ' || :number, 1, 'long ago', :at_ms)": PEOPLE,
    "INSERT INTO profiles(bot_id, client_id, user_id, fact, value, updated_ms)"
    " VALUES (:bot, '', 'past ' || :number, 'name', 'Past', :at_ms)": PEOPLE,
    "INSERT INTO chats(bot_id, chat_id, kind, state, updated_ms)"
    " VALUES (:bot, -1000000 - :number, 'group', 'left', :at_ms)": PEOPLE,
    "INSERT INTO events(bot_id, event_id, at_ms, kind, data)"
    " VALUES (:bot, :at_ms * 1000 + :number, :at_ms, 'BotStarted', '{}')": 1,
    "INSERT INTO logs(bot_id, log_id, at_ms, level, logger, text)"
    " VALUES (:bot, :at_ms * 1000 + :number, :at_ms, 20, 'past', 'long ago')": 1,
    "INSERT OR IGNORE INTO metrics(bot_id, name, minute, count, total, minimum, maximum)"
    " VALUES (:bot, 'past', :at_ms / 60000, 1, 1, 1, 1)": 1,
    "INSERT INTO usage(bot_id, usage_id, at_ms, client_id, conversation_id, user_id, provider, model, input_tokens,"
    " output_tokens, cached_tokens, latency_ms)"
    " VALUES (:bot, :at_ms * 1000 + :number, :at_ms, '', 'past', '', 'echo', '', 1, 1, 0, 1)": 1,
}
"""How a row of the past gets into each table: it takes (bot, number, at_ms). Each is given for one number in so many."""
