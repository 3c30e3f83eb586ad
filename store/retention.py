"""How long each kind of row is kept; deletion in batches small enough not to be felt.

Old rows stand at the low end of their bot's (or conversation's) range of the primary key, so finding them looks at a
few rows per bot or conversation, on a reader; only the deletion itself goes through the writer. Work that is still open
is never old.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from store.ids import bots_in
from store.reader import Reader
from store.writer import Writer

if TYPE_CHECKING:
    from config.schema import RetentionSection

Rules = Mapping[str, int]
"""Table → days kept; 0 keeps for ever."""

BATCH: Final = 500
"""Rows deleted in one write job, about."""

DAY_MS: Final = 86_400_000

KEPT_WITH_THE_BOT: Final = frozenset({"access", "bots", "meta", "pairing_codes", "registrations"})
"""Tables whose rows live until their bot is removed: a few rows per bot each, and whom the operator admitted or shut out."""

OF_THE_FLEET: Final = frozenset({"api_keys"})
"""Tables no bot has rows in; theirs are kept, revoked keys too, as what happened names them."""

WITH_MESSAGES: Final = frozenset({"conversations", "summaries", "profiles", "chats"})
"""Tables that are kept as long as messages are."""

REMEMBERED: Final = WITH_MESSAGES | {"messages"}
"""Tables of which rows are held in memory elsewhere."""

_GROUPS: Final = 64
"""Bots or conversations looked up at once."""

_LOOK: Final = 50
"""Rows looked at to find out whether a bot has old ones: some may be open, or out of order."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """How to prune one table.

    find: takes (:after group columns …, :cutoff), returns groups that have old rows, in order.
    delete: takes (group …, cutoff), deletes at most BATCH old rows of one group.
    unit: what one step of the cutoff is, in milliseconds.
    """

    find: str
    delete: str
    unit: int = 1


def _by_end(table: str, key: str, when: str, *, both: bool = False) -> _Rule:
    """Rows of a bot whose key grows with time: the old ones are among the first.

    both: among the last too, for update ids grow, but may jump, even downwards.
    """

    def ends(bot: str, cutoff: str, rows: int) -> str:
        end = f"SELECT {key} FROM (SELECT {key}, {when} FROM {table} t WHERE t.bot_id = {bot} ORDER BY {key}"
        old = f"LIMIT {rows}) WHERE {when} < {cutoff}"
        return f"{end} {old} UNION {end} DESC {old}" if both else f"{end} {old}"

    return _Rule(
        f"{bots_in(table)} SELECT bot_id FROM here WHERE bot_id > :g0"
        f" AND EXISTS ({ends('here.bot_id', ':cutoff', _LOOK)}) ORDER BY 1 LIMIT {_GROUPS}",
        f"DELETE FROM {table} WHERE bot_id = ?1 AND {key} IN ({ends('?1', '?2', BATCH)})",
    )


_CONVERSATION: Final = "bot_id, client_id, conversation_id"
_SAME: Final = "m.bot_id = c.bot_id AND m.client_id = c.client_id AND m.conversation_id = c.conversation_id"
_MESSAGES: Final = _Rule(
    f"SELECT {_CONVERSATION} FROM conversations c WHERE ({_CONVERSATION}) > (:g0, :g1, :g2) AND created_ms < :cutoff"
    f" AND (SELECT m.created_ms FROM messages m WHERE {_SAME} ORDER BY m.seq LIMIT 1) < :cutoff"
    f" ORDER BY {_CONVERSATION} LIMIT {_GROUPS}",
    "DELETE FROM messages WHERE bot_id = ?1 AND client_id = ?2 AND conversation_id = ?3 AND seq IN"
    " (SELECT seq FROM messages WHERE bot_id = ?1 AND client_id = ?2 AND conversation_id = ?3 AND created_ms < ?4"
    f" ORDER BY seq LIMIT {BATCH})",
)
_EMPTY: Final = f"NOT EXISTS (SELECT 1 FROM messages m WHERE {_SAME})"
_CONVERSATIONS: Final = _Rule(
    f"SELECT {_CONVERSATION} FROM conversations c WHERE ({_CONVERSATION}) > (:g0, :g1, :g2) AND updated_ms < :cutoff"
    f" AND {_EMPTY} ORDER BY {_CONVERSATION} LIMIT {_GROUPS}",
    "DELETE FROM conversations AS c WHERE bot_id = ?1 AND client_id = ?2 AND conversation_id = ?3 AND updated_ms < ?4"
    f" AND {_EMPTY}",
)
_SUMMARIES: Final = _Rule(
    f"SELECT {_CONVERSATION} FROM summaries c WHERE ({_CONVERSATION}) > (:g0, :g1, :g2) AND updated_ms < :cutoff"
    f" AND {_EMPTY} ORDER BY {_CONVERSATION} LIMIT {_GROUPS}",
    "DELETE FROM summaries AS c WHERE bot_id = ?1 AND client_id = ?2 AND conversation_id = ?3 AND updated_ms < ?4"
    f" AND {_EMPTY}",
)
_PERSON: Final = "bot_id, client_id, user_id"
_SILENT: Final = (
    "NOT EXISTS (SELECT 1 FROM conversations c WHERE c.bot_id = p.bot_id AND c.client_id = p.client_id"
    " AND c.conversation_id = p.user_id)"
)
_PROFILES: Final = _Rule(
    f"SELECT DISTINCT {_PERSON} FROM profiles p WHERE ({_PERSON}) > (:g0, :g1, :g2) AND updated_ms < :cutoff"
    f" AND {_SILENT} ORDER BY {_PERSON} LIMIT {_GROUPS}",
    "DELETE FROM profiles AS p WHERE bot_id = ?1 AND client_id = ?2 AND user_id = ?3 AND updated_ms < ?4"
    f" AND {_SILENT}",
)
_CHATS: Final = _Rule(
    "SELECT bot_id, chat_id FROM chats WHERE (bot_id, chat_id) > (:g0, :g1) AND updated_ms < :cutoff"
    f" AND state <> 'member' ORDER BY bot_id, chat_id LIMIT {_GROUPS}",
    "DELETE FROM chats WHERE bot_id = ?1 AND chat_id = ?2 AND updated_ms < ?3 AND state <> 'member'",
)
_METRICS: Final = _Rule(
    f"{bots_in('metrics')}, series(bot_id, name) AS ("
    "SELECT bot_id, (SELECT min(name) FROM metrics t WHERE t.bot_id = here.bot_id) FROM here WHERE bot_id NOTNULL"
    " UNION ALL SELECT bot_id,"
    " (SELECT min(name) FROM metrics t WHERE t.bot_id = series.bot_id AND t.name > series.name)"
    " FROM series WHERE name NOTNULL)"
    " SELECT bot_id, name FROM series WHERE name NOTNULL AND (bot_id, name) > (:g0, :g1)"
    " AND (SELECT minute FROM metrics t WHERE t.bot_id = series.bot_id AND t.name = series.name"
    f" ORDER BY minute LIMIT 1) < :cutoff ORDER BY 1, 2 LIMIT {_GROUPS}",
    "DELETE FROM metrics WHERE bot_id = ?1 AND name = ?2 AND minute IN"
    f" (SELECT minute FROM metrics WHERE bot_id = ?1 AND name = ?2 AND minute < ?3 ORDER BY minute LIMIT {BATCH})",
    60_000,
)

_RULES: Final[Mapping[str, _Rule]] = {
    "updates": _by_end("updates", "update_id", "finished_ms", both=True),
    "outbox": _by_end("outbox", "outbox_id", "finished_ms"),
    "messages": _MESSAGES,
    "conversations": _CONVERSATIONS,
    "summaries": _SUMMARIES,
    "profiles": _PROFILES,
    "chats": _CHATS,
    "events": _by_end("events", "event_id", "at_ms"),
    "logs": _by_end("logs", "log_id", "at_ms"),
    "metrics": _METRICS,
    "usage": _by_end("usage", "usage_id", "at_ms"),
}

TABLES: Final = tuple(_RULES)
"""Tables that are pruned, in the order in which it is done: conversations after their messages."""


def rules_of(section: RetentionSection) -> Rules:
    """Return the rules a `[retention]` section states."""
    return {name.removesuffix("_days"): days for name, days in section.model_dump().items() if name.endswith("_days")}


def days_of(table: str, rules: Rules) -> int:
    """Return the days a table's rows are kept; what belongs to conversations goes with their messages."""
    return rules.get("messages" if table in WITH_MESSAGES else table, 0)


class Pruner:
    """Walks over the tables, deleting what is past its time; remembers how far it came."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._after: dict[str, tuple[str, ...]] = {}

    async def prune(self, rules: Rules, now_ms: int) -> tuple[str, int]:
        """Delete one small batch; return its table and rows, ("", 0) when nothing is past its time."""
        for table, rule in _RULES.items():
            days = days_of(table, rules)
            if not days:
                continue
            deleted = await self._prune_table(table, rule, (now_ms - days * DAY_MS) // rule.unit)
            if deleted:
                return table, deleted
        return "", 0

    async def _prune_table(self, table: str, rule: _Rule, cutoff: int) -> int:
        while True:
            after = self._after.get(table, ("", "", ""))
            named: dict[str, Any] = {"cutoff": cutoff} | {f"g{i}": part for i, part in enumerate(after)}
            groups = await self._reader.fetch(rule.find, named)
            if not groups:
                self._after.pop(table, None)  # the next walk begins at the first bot again
                return 0
            deleted, last = await self._writer.write(partial(_delete, sql=rule.delete, groups=groups, cutoff=cutoff))
            self._after[table] = (*last, "", "")[:3] if last else after
            if deleted:
                return deleted
            self._after[table] = (*groups[-1], "", "")[:3]


def _delete(
    connection: sqlite3.Connection, sql: str, groups: list[tuple[Any, ...]], cutoff: int
) -> tuple[int, tuple[Any, ...]]:
    """Delete from groups until BATCH rows are gone; return how many, and the last group that is clean."""
    total, clean = 0, ()
    for group in groups:
        total += connection.execute(sql, (*group, cutoff)).rowcount
        if total >= BATCH:
            break
        clean = group
    return total, clean


JOURNALS: Final = {"logs": "log_id", "events": "event_id"}
"""Tables a chatty bot can fill, and the number in their key."""

NEWS: Final = 1000
"""A journal is counted again after so many rows at the latest: it may be longer than its bound by as much."""


class Bounds:
    """Keeps each bot's journals under a number of rows. Counts only what grew since it was looked at last."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._news: Counter[tuple[str, str]] = Counter()

    def grew(self, table: str, bot_ids: Iterable[str]) -> None:
        """Note rows that were appended, by the bots they belong to."""
        for bot_id in bot_ids:
            self._news[table, bot_id] += 1

    async def trim(self, rows: int) -> int:
        """Delete one small batch of a journal that is too long, its oldest rows; return how many, 0 when none is."""
        if not rows:
            return 0
        news = min(NEWS, max(1, rows // 10))
        for table, bot_id in [where for where, count in self._news.items() if count >= news]:
            deleted = await self._trim(table, JOURNALS[table], bot_id, rows)
            if deleted:
                return deleted
            del self._news[table, bot_id]
        return 0

    async def _trim(self, table: str, key: str, bot_id: str, rows: int) -> int:
        # The walk backwards over the rows that stay reads keys of one bot only: some 20 ms for 50,000.
        first = f"SELECT {key} FROM {table} WHERE bot_id = ? ORDER BY {key} DESC LIMIT 1 OFFSET ?"
        found = await self._reader.fetch(first, (bot_id, rows))
        if not found:
            return 0
        old = f"SELECT {key} FROM {table} WHERE bot_id = ?1 AND {key} <= ?2 ORDER BY {key} LIMIT {BATCH}"
        sql = f"DELETE FROM {table} WHERE bot_id = ?1 AND {key} IN ({old})"
        return await self._writer.write(lambda c: c.execute(sql, (bot_id, found[0][0])).rowcount)
