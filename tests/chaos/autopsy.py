"""Looking at a copy of the database as a dead process left it; the file itself is not touched."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.words import APOLOGY, told_apart

Row = tuple[str, int]
"""(bot, outbox_id)."""


@dataclass(slots=True)
class Finding:
    """What a database held. attempting: sends that had begun; ambiguous: how often each row was in doubt so far."""

    damage: list[str]
    attempting: set[Row] = field(default_factory=set)
    ambiguous: dict[Row, int] = field(default_factory=dict)
    texts: dict[Row, str] = field(default_factory=dict)
    """Of the rows named above: what each is known by (`words.told_apart`)."""
    by_bot: dict[str, int] = field(default_factory=dict)
    """`ambiguous_sends` as the bots' own rows have it."""
    open_updates: int = 0
    open_sends: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    answers: dict[tuple[str, int], str] = field(default_factory=dict)
    """(bot, update_id) → the answer that was stored."""


def take_copy(database: Path, folder: Path) -> Path:
    """Copy a database nobody uses, log included, into a folder; return the copy."""
    folder.mkdir(parents=True)
    for suffix in ("", "-wal"):
        source = database.with_name(database.name + suffix)
        if source.exists():
            shutil.copy(source, folder / source.name)
    return folder / database.name


def count_open(database: Path) -> int:
    """Return how many updates and sends a live database holds open. Reads only."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        updates = connection.execute("SELECT count(*) FROM updates WHERE outcome IS NULL").fetchone()[0]
        sends = connection.execute("SELECT count(*) FROM outbox WHERE state IN ('pending', 'attempting')").fetchone()[0]
    return int(updates + sends)


def examine(database: Path) -> Finding:
    """Check a copy and read what matters. Blocks."""
    if not database.exists():
        return Finding([])
    try:
        with closing(sqlite3.connect(database)) as connection:
            checked = [text for (text,) in connection.execute("PRAGMA integrity_check")]
            return _read(connection, [] if checked == ["ok"] else checked)
    except sqlite3.DatabaseError as error:
        return Finding([str(error)])


def _read(connection: sqlite3.Connection, damage: list[str]) -> Finding:
    found = Finding(damage)
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'outbox'").fetchone():
        return found  # it died before there were tables
    for bot, update_id, text in connection.execute(
        "SELECT bot_id, update_id, content FROM messages WHERE role = 'assistant'"
    ):
        found.answers[bot, update_id] = text
    for bot, number, update_id, chat_id, state, ambiguous, params in connection.execute(
        "SELECT bot_id, outbox_id, update_id, chat_id, state, ambiguous, params FROM outbox"
        " WHERE state IN ('pending', 'attempting') OR ambiguous > 0"
    ):
        row = (bot, number)
        text = found.answers.get((bot, update_id)) or json.loads(params or "{}").get("text", APOLOGY)
        found.texts[row] = told_apart(text, chat_id)
        found.ambiguous[row] = ambiguous
        if state == "attempting":
            found.attempting.add(row)
        found.open_sends += state in {"pending", "attempting"}
    found.by_bot = dict(connection.execute("SELECT bot_id, ambiguous_sends FROM bots WHERE bot_id <> '_fleet'"))
    outcomes = connection.execute("SELECT coalesce(outcome, 'open'), count(*) FROM updates GROUP BY outcome")
    found.outcomes = dict(outcomes)
    found.open_updates = found.outcomes.get("open", 0)
    return found
