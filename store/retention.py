"""How long each kind of row is kept; deletion in batches small enough not to be felt."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

Rules = Mapping[str, int]
"""Table → days kept; 0 keeps for ever."""

BATCH: Final = 500
DAY_MS: Final = 86_400_000

KEPT_WITH_THE_BOT: Final = frozenset({"bots", "meta", "registrations"})
"""Tables whose rows live until their bot is removed: a few rows per bot each."""

_OLD: Final = {
    "updates": "finished_ms < ? AND outcome IS NOT NULL",
    "outbox": "finished_ms < ? AND state NOT IN ('pending', 'attempting')",
    "messages": "created_ms < ?",
    "conversations": "updated_ms < ?",
    "events": "at_ms < ?",
    "logs": "at_ms < ?",
    "metrics": "minute * 60000 < ?",
    "usage": "at_ms < ?",
}
"""Table → what makes a row old; work that is still open is never old."""

_KEYS: Final = {
    "updates": "update_id",
    "outbox": "outbox_id",
    "messages": "client_id, conversation_id, seq",
    "conversations": "client_id, conversation_id",
    "events": "event_id",
    "logs": "log_id",
    "metrics": "name, minute",
    "usage": "usage_id",
}

TABLES: Final = tuple(_OLD)


def days_of(table: str, rules: Rules) -> int:
    """Return the days a table's rows are kept; conversations go with their messages."""
    return rules.get("messages" if table == "conversations" else table, 0)


def prune(connection: sqlite3.Connection, rules: Rules, now_ms: int) -> int:
    """Delete at most BATCH old rows within a write job; return how many."""
    for table in TABLES:
        days = days_of(table, rules)
        if not days:
            continue
        key = f"bot_id, {_KEYS[table]}"
        deleted = connection.execute(
            f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {_OLD[table]} LIMIT {BATCH})",
            (now_ms - days * DAY_MS,),
        ).rowcount
        if deleted:
            return deleted
    return 0
