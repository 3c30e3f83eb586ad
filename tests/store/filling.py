"""Partitions with a row in every table, and their contents compared byte by byte."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from store.database import Store
from store.outbox import NewSend
from store.turns import TurnRecord
from store.updates import NewUpdate
from store.usage import Tokens

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000


def update(update_id: int, lane: str = "7", text: str = "hello") -> NewUpdate:
    return NewUpdate(update_id, lane, f'{{"update_id":{update_id},"message":{{"text":"{text}"}}}}')


def turn(update_id: int | None, conversation_id: str = "7", **more: Any) -> TurnRecord:
    values: dict[str, Any] = {
        "update_id": update_id,
        "client_id": "acme",
        "conversation_id": conversation_id,
        "user_id": "42",
        "channel": "telegram",
        "outcome": "answered",
        "question": f"q{update_id}",
        "answer": f"a{update_id}",
        "tokens": Tokens("echo", "echo-1", 10, 20, 5, 100),
        "sends": (NewSend(7, conversation_id, "sendMessage", '{"text":"a"}'),),
        "first_attempting": True,
    }
    return TurnRecord(**(values | more))


async def converse(store: Store, bot_id: str, update_id: int, now_ms: int = NOW_MS, **more: Any) -> tuple[int, ...]:
    """Receive an update, answer it, send the answer."""
    partition = store.partition(bot_id)
    await partition.updates.receive([update(update_id)], update_id + 1, now_ms)
    ids = await partition.record_turn(turn(update_id, **more), now_ms)
    await partition.finish_sends([(outbox_id, 900 + update_id) for outbox_id in ids], now_ms)
    return ids


async def know(store: Store, bot_id: str, conversation_id: str = "7", now_ms: int = NOW_MS, user_id: int = 42) -> None:
    """Put a row beside the messages of a conversation into every table that has some."""
    partition = store.partition(bot_id)
    last = (await partition.messages.tail("acme", conversation_id, 1))[0]
    assert await partition.summaries.put("acme", conversation_id, last, "they met", now_ms)
    await partition.profiles.set("acme", str(user_id), "name", "Ann", "model", now_ms)
    await partition.access.set(user_id, "paired", "Ann", "operator", now_ms)
    await partition.access.new_code(f"digest {user_id}", now_ms + DAY_MS, "operator", now_ms)
    await partition.chats.put(user_id, "private", "Ann", "blocked", now_ms)


async def fill(store: Store, bot_id: str, *, turns: int = 2, now_ms: int = NOW_MS) -> None:
    """Put rows of a bot into every table."""
    for number in range(1, turns + 1):
        await converse(store, bot_id, number, now_ms)
    await know(store, bot_id, now_ms=now_ms)
    partition = store.partition(bot_id)
    await partition.updates.receive([update(turns + 1), update(turns + 2)], turns + 3, now_ms)
    await partition.updates.poison(turns + 1, "cannot be read", now_ms)
    await partition.state.save(now_ms, name=bot_id.upper(), telegram_id=100001, failures=((now_ms, "boom"),))
    await partition.registrations.add('{"name": "x"}', now_ms)
    await store.append_events([(bot_id, now_ms, "BotStarted", "{}", "operator")])
    await store.append_logs([(bot_id, now_ms, 20, "store", "a line", "")])
    await store.append_metrics([(bot_id, "replies", now_ms // 60_000, 2, 2.0, 1.0, 1.0)])
    await store._writer.write(lambda c: c.execute("INSERT INTO meta VALUES (?, 'note', 'x', ?)", (bot_id, now_ms)))


def tables(path: Path) -> list[str]:
    return [name for (name,) in query(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]


def query(path: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, parameters).fetchall()


def dump(path: Path, *, without: str | None = None, only: str | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, of all bots but one or of one; the file's own marks left out."""
    rows = {
        table: query(path, f"SELECT * FROM {table} WHERE bot_id IS NOT ? AND coalesce(bot_id = ?, 1)", without, only)
        for table in tables(path)
    }
    rows["meta"] = [row for row in rows["meta"] if row[1] not in {"open", "probe", "identity"}]
    return rows
