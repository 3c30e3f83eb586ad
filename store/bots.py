"""One row per bot: intent, phase, counters, offset. What survives a restart of the process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from store.reader import Reader
from store.texts import storable
from store.writer import Writer


@dataclass(frozen=True, slots=True)
class BotState:
    """A bot as last written down. Times are Unix milliseconds; failures are (at_ms, fingerprint), oldest first.

    conditions is a JSON object. The open counts are no columns: `Store.statuses` fills them in.
    """

    bot_id: str
    name: str = ""
    telegram_id: int | None = None
    username: str = ""
    desired: str = "run"
    desired_actor: str = ""
    desired_reason: str = ""
    paused: bool = False
    phase: str = "stopped"
    phase_reason: str = ""
    phase_since_ms: int = 0
    conditions: str = "{}"
    restarts: int = 0
    failures: tuple[tuple[int, str], ...] = ()
    backoff_level: int = 0
    retry_at_ms: int | None = None
    generation: int = 0
    observed_generation: int = 0
    config_digest: str = ""
    config_error: str = ""
    next_offset: int | None = None
    turns: int = 0
    errors: int = 0
    ambiguous_sends: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    inbox_open: int = 0
    outbox_open: int = 0


COLUMNS: Final = tuple(f.name for f in fields(BotState) if f.name not in {"inbox_open", "outbox_open"})
SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM bots"
_COUNTERS: Final = frozenset({"turns", "errors", "ambiguous_sends", "restarts"})


def state_of(row: tuple[Any, ...]) -> BotState:
    """Return the row selected by SELECT as a BotState."""
    values = dict(zip(COLUMNS, row, strict=True))
    values["paused"] = bool(values["paused"])
    values["failures"] = tuple((int(at), str(print_)) for at, print_ in json.loads(values["failures"]))
    return BotState(**values)


def save(connection: sqlite3.Connection, bot_id: str, now_ms: int, changes: dict[str, Any]) -> None:
    """Upsert the named columns of one bot (within a write job)."""
    names = tuple(changes)
    if not set(names) <= set(COLUMNS):
        raise ValueError(f"no such column of bots: {sorted(set(names) - set(COLUMNS))}")
    values = [_stored(changes[n]) for n in names]
    columns = "".join(f", {n}" for n in names)
    updates = "".join(f", {n} = excluded.{n}" for n in names)
    connection.execute(
        f"INSERT INTO bots (bot_id, created_ms, updated_ms{columns}) VALUES (?, ?, ?{', ?' * len(names)})"
        f" ON CONFLICT (bot_id) DO UPDATE SET updated_ms = excluded.updated_ms{updates}",
        (bot_id, now_ms, now_ms, *values),
    )


StateRows = Sequence[tuple[str, dict[str, Any]]]
"""(bot_id, column → value) of many bots."""


def save_many(connection: sqlite3.Connection, rows: StateRows, now_ms: int) -> None:
    """Upsert the named columns of many bots (within a write job)."""
    for bot_id, changes in rows:
        save(connection, bot_id, now_ms, changes)


def _stored(value: Any) -> Any:
    """Return a value as its column takes it: tables and lists as JSON, text as UTF-8 can hold it."""
    if isinstance(value, str):
        return storable(value)
    return json.dumps(value) if isinstance(value, dict | list | tuple) else value


class BotStates:
    """The state row of one bot."""

    __slots__ = ("_bot_id", "_reader", "_writer")

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        self._bot_id = bot_id
        self._writer = writer
        self._reader = reader

    async def load(self) -> BotState | None:
        """Return the row; None for a bot never seen."""
        rows = await self._reader.fetch(f"{SELECT} WHERE bot_id = ?", (self._bot_id,))
        return state_of(rows[0]) if rows else None

    async def save(self, now_ms: int, **changes: Any) -> None:
        """Write the named columns, making the row if there is none. Raises ValueError for an unknown column.

        failures and conditions may be given as JSON text or as what it stands for.
        """
        await self._writer.write(lambda connection: save(connection, self._bot_id, now_ms, changes))

    async def add(self, now_ms: int, **amounts: int) -> None:
        """Add to the counters turns, errors, ambiguous_sends, restarts, making the row if there is none."""
        if not amounts.keys() <= _COUNTERS:
            raise ValueError(f"no such counter: {sorted(amounts.keys() - _COUNTERS)}")
        names = "".join(f", {n}" for n in amounts)
        sums = "".join(f", {n} = {n} + excluded.{n}" for n in amounts)
        sql = (
            f"INSERT INTO bots (bot_id, created_ms, updated_ms{names}) VALUES (?, ?, ?{', ?' * len(amounts)})"
            f" ON CONFLICT (bot_id) DO UPDATE SET updated_ms = excluded.updated_ms{sums}"
        )
        row = (self._bot_id, now_ms, now_ms, *amounts.values())
        await self._writer.write(lambda c: c.execute(sql, row).rowcount)
