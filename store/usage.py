"""Tokens of every model call, and what they cost."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.ids import Ids, bots_in
from store.reader import Reader
from store.writer import Writer

if TYPE_CHECKING:
    from store.messages import StoredMessage

_INSERT: Final = "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


_SPENT: Final = (
    f"{bots_in('usage')} SELECT u.bot_id, u.provider, u.model, sum(u.input_tokens), sum(u.output_tokens), sum(u.cached_tokens),"
    " sum(u.cost_nano), count(*) - count(u.cost_nano) FROM here CROSS JOIN usage u WHERE u.bot_id = here.bot_id AND u.usage_id >= ? AND u.at_ms >= ?"
    " GROUP BY u.bot_id, u.provider, u.model"
)

MOVED_ON_US: Final = 1_000_000
"""How far from its moment the number of a row is looked for: it is moved on where rows would meet (`ids.py`)."""

_OF_ANSWERS: Final = (
    "WITH asked AS (SELECT json_extract(value, '$[0]') seq, json_extract(value, '$[1]') ms, json_extract(value, '$[2]') update_id"
    " FROM json_each(?1)) SELECT asked.seq, u.usage_id, u.provider, u.model, u.input_tokens, u.output_tokens, u.cached_tokens,"
    " u.latency_ms, u.cost_nano FROM asked CROSS JOIN usage u WHERE u.bot_id = ?2 AND u.usage_id >= asked.ms * 1000"
    f" AND u.usage_id < asked.ms * 1000 + {MOVED_ON_US} AND u.at_ms = asked.ms AND u.update_id IS asked.update_id"
    " AND (u.update_id NOTNULL OR (u.client_id = ?3 AND u.conversation_id = ?4)) ORDER BY asked.seq, u.usage_id"
)

Spent = tuple[str, str, str, int, int, int, int | None, int]
"""(bot_id, provider, model, input, output, cached tokens, cost in nano-dollars as far as known, rows without a price)."""

QUARTER_MS: Final = 900_000
"""Offsets of time zones are whole quarters of an hour: sums over these add up to days of any zone."""

_KEYS: Final = {"day": f"at_ms / {QUARTER_MS}", "chat": "conversation_id", "user": "user_id", "model": "model"}
BY: Final = tuple(_KEYS)
"""What usage is summed by."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one model call cost, as the provider counts."""

    provider: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    latency_ms: int = 0
    cost_nano: int | None = None
    """Billionths of a US dollar; None = the price is not known."""


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Sums over one day, chat, person or model.

    key is what it was summed by: a chat's conversation, a person's number, a model, or the quarter hour (Unix time).
    cost_nano sums what is known, None when nothing is; unpriced counts the calls whose price is not.
    """

    key: str
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_nano: int | None
    unpriced: int


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Sums over a time, per provider and model."""

    provider: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int


def add(
    connection: sqlite3.Connection,
    ids: Ids,
    bot_id: str,
    who: tuple[str, str, str],
    update_id: int | None,
    tokens: Tokens,
    now_ms: int,
) -> None:
    """Append a row within a write job; who is (client_id, conversation_id, user_id)."""
    cost = (tokens.provider, tokens.model, tokens.input_tokens, tokens.output_tokens, tokens.cached_tokens)
    connection.execute(
        _INSERT, (bot_id, ids.next(now_ms), now_ms, *who, update_id, *cost, tokens.latency_ms, tokens.cost_nano)
    )


async def spent_since(reader: Reader, since_ms: int) -> list[Spent]:
    """Return what every bot spent since a moment, per provider and model."""
    return await reader.fetch(_SPENT, (since_ms * 1000, since_ms))


class UsageRows:
    """The usage of one bot."""

    __slots__ = ("_bot_id", "_reader")

    def __init__(self, bot_id: str, reader: Reader) -> None:
        self._bot_id = bot_id
        self._reader = reader

    async def sums(self, by: str, since_ms: int = 0, *, client_id: str | None = None) -> list[UsageSum]:
        """Return sums since a moment by day (quarter hours, to be added up), chat, user or model, in order of the key.

        client_id: of this tenant only.
        """
        tenant, asked = ("", ()) if client_id is None else (" AND client_id = ?", (client_id,))
        sql = (
            f"SELECT CAST({_KEYS[by]} AS TEXT), count(*), sum(input_tokens), sum(output_tokens), sum(cached_tokens),"
            " sum(cost_nano), count(*) - count(cost_nano) FROM usage"
            f" WHERE bot_id = ? AND usage_id >= ? AND at_ms >= ?{tenant} GROUP BY {_KEYS[by]} ORDER BY 1"
        )
        rows = await self._reader.fetch(sql, (self._bot_id, since_ms * 1000, since_ms, *asked))
        return [UsageSum(*row) for row in rows]

    async def of_answers(
        self, client_id: str, conversation_id: str, answers: Sequence[StoredMessage]
    ) -> dict[int, Tokens]:
        """Return seq → what an answer of a conversation took; those not found are left out. Costs a seek for each.

        An answer and its row were written at one moment. Without an update the conversation tells whose the row is, and
        those of one millisecond are taken in their order.
        """
        asked = json.dumps([(each.seq, each.created_ms, each.update_id) for each in answers])
        rows = await self._reader.fetch(_OF_ANSWERS, (asked, self._bot_id, client_id, conversation_id))
        found: dict[int, Tokens] = {}
        taken: set[int] = set()
        for seq, usage_id, *tokens in rows:
            if seq not in found and usage_id not in taken:
                found[seq] = Tokens(*tokens)
                taken.add(usage_id)
        return found

    async def totals(self, since_ms: int = 0) -> list[UsageTotal]:
        """Return sums since a moment, per provider and model."""
        sql = (
            "SELECT provider, model, count(*), sum(input_tokens), sum(output_tokens), sum(cached_tokens) FROM usage"
            " WHERE bot_id = ? AND usage_id >= ? AND at_ms >= ? GROUP BY provider, model ORDER BY provider, model"
        )
        return [UsageTotal(*row) for row in await self._reader.fetch(sql, (self._bot_id, since_ms * 1000, since_ms))]


class Usage(UsageRows):
    """The usage of one bot, which can be added to."""

    __slots__ = ("_writer",)

    def __init__(self, bot_id: str, writer: Writer, reader: Reader) -> None:
        super().__init__(bot_id, reader)
        self._writer = writer

    async def add(
        self,
        client_id: str,
        conversation_id: str,
        user_id: str,
        tokens: Tokens,
        now_ms: int,
        *,
        update_id: int | None = None,
    ) -> None:
        """Write down a model call that is no turn of its own (a voice transcribed, say). Raises StoreError."""
        who, ids, bot_id = (client_id, conversation_id, user_id), self._writer.ids, self._bot_id
        await self._writer.write(lambda c: add(c, ids, bot_id, who, update_id, tokens, now_ms))
