"""What a turn costs: saturated beside the peers, with long conversations, over a large database."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from store.migrate import migrate
from tests.bench.measure import sample
from tests.bench.stage import Figures, Stage

CHATS = 10
LONG, SHORT = 1000, 10
PEERS = {"botdeck": "botdeck", "python-telegram-bot": "ptb", "aiogram": "aiogram"}
STRANGERS = 1000
"""Bots the other rows of a large database belong to."""

Fill = Callable[[sqlite3.Connection], None]


async def turns(stage: Stage) -> Figures:
    """Measure echo turns per core-second: everything waits at the server, the subject takes it as fast as it can."""
    bots, each = (100, 30) if stage.quick else (200, 150)
    seen: dict[str, list[float]] = {name: [] for name in PEERS}
    for number in range(stage.rounds):
        stage.tell(f"  turns, round {number + 1}")
        for title, name in PEERS.items():
            seen[title].append(1 / await _cost_s(stage, name, bots, each))
    medians = {title: round(statistics.median(values)) for title, values in seen.items()}
    return medians | {
        "ratio to python-telegram-bot": round(medians["botdeck"] / medians["python-telegram-bot"], 2),
        "ratio to aiogram": round(medians["botdeck"] / medians["aiogram"], 2),
    }


async def growth(stage: Stage) -> Figures:
    """Measure what a turn costs where conversations are long, and where the database is large."""
    bots, each, rows = (50, 30, 1_000_000) if stage.quick else (100, 100, 10_000_000)
    crowd = stage.folder() / "crowd.db"
    stage.tell(f"  writing a database of {rows:,} rows")
    await anyio.to_thread.run_sync(make_database, crowd, partial(_fill_strangers, rows=rows))
    seen: dict[str, list[float]] = {"short": [], "long": [], "empty": [], "crowded": []}
    for number in range(stage.rounds):
        stage.tell(f"  turns as a fleet grows, round {number + 1}")
        for name, length in (("short", SHORT), ("long", LONG)):
            folder = stage.folder()
            fill = partial(fill_conversations, bots=bots, length=length)
            await anyio.to_thread.run_sync(make_database, folder / "botdeck.db", fill)
            seen[name].append(await _cost_s(stage, "botdeck", bots, each, folder))
        seen["empty"].append(await _cost_s(stage, "botdeck", bots, each))
        folder = stage.folder()
        crowd.rename(folder / "botdeck.db")
        # The database remembers the updates of the rounds before: the same ids again would count as repeats.
        seen["crowded"].append(await _cost_s(stage, "botdeck", bots, each, folder, jump=number * each))
        (folder / "botdeck.db").rename(crowd)
    crowd.unlink()
    cost = {name: statistics.median(values) * 1e6 for name, values in seen.items()}
    return {f"{name}_us": round(value) for name, value in cost.items()} | {
        "rows": rows,
        "long to short": round(cost["long"] / cost["short"], 2),
        "crowded to empty": round(cost["crowded"] / cost["empty"], 2),
    }


async def _cost_s(stage: Stage, name: str, bots: int, each: int, folder: Path | None = None, *, jump: int = 0) -> float:
    """Return the CPU seconds of one turn, start and rest left out. jump is added to the ids of updates."""
    total = bots * each
    async with stage.subject(name, bots, folder) as subject:
        await anyio.sleep(2.0)
        everybody = list(subject.double.bots.values())
        for bot in everybody:
            bot.jump_ids(jump)
        before = sample(subject.process.pid)
        for message in range(each):
            for bot in everybody:
                bot.say(1 + message % CHATS, f"message {message}")
            await anyio.sleep(0)
        await subject.until(lambda: sum(bot.sent_count for bot in everybody) >= total)
        await anyio.sleep(0.5)
        after = sample(subject.process.pid)
        if name == "botdeck":
            await subject.stop_s()
    return (after.cpu_s - before.cpu_s) / total


# --- databases of a size -------------------------------------------------------------------------------------------


def make_database(path: Path, fill: Fill) -> None:
    """Write a database as botdeck would have left it, quickly."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA synchronous = off")
        migrate(connection, int(time.time() * 1000))
        connection.execute("BEGIN")
        fill(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def fill_conversations(connection: sqlite3.Connection, bots: int, length: int) -> None:
    """Give every chat of every bot a conversation of a length."""
    _fill(connection, "printf('bot%05d', b.value)", bots, "CAST(c.value AS TEXT)", CHATS, length)


def _fill_strangers(connection: sqlite3.Connection, rows: int) -> None:
    """Give bots that are not in the fleet a hundred conversations each, rows messages in all."""
    length = rows // STRANGERS // 100
    _fill(connection, "printf('botx%05d', b.value)", STRANGERS, "printf('%d', 1000 + c.value)", 100, length)


def _fill(connection: sqlite3.Connection, bot: str, bots: int, chat: str, chats: int, length: int) -> None:
    now_ms = int(time.time() * 1000)
    series = (
        f"WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {max(1000, length)})"
    )
    b, c = (
        f"(SELECT value - 1 AS value FROM n WHERE value <= {bots}) b",
        f"(SELECT value FROM n WHERE value <= {chats}) c",
    )
    connection.execute(
        f"INSERT INTO conversations(bot_id, client_id, conversation_id, last_seq, created_ms, updated_ms)"
        f" {series} SELECT {bot}, '', {chat}, {length}, {now_ms}, {now_ms} FROM {b} CROSS JOIN {c} ORDER BY 1, 3"
    )
    said = "'message ' || m.value || ' of a conversation of some length'"
    connection.execute(
        f"INSERT INTO messages(bot_id, client_id, conversation_id, seq, role, content, created_ms)"
        f" {series} SELECT bot_id, client_id, conversation_id, m.value, CASE m.value % 2 WHEN 0 THEN 'assistant'"
        f" ELSE 'user' END, {said}, {now_ms} FROM conversations CROSS JOIN (SELECT value FROM n WHERE value <= {length}) m"
    )
