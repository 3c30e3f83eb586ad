"""Rows leave when their time is over, in small batches, and work that is still open never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.schema import RetentionSection
from store import retention
from store.database import Store
from tests.store.filling import DAY_MS, NOW_MS, converse, dump, fill, know, query, turn, update

pytestmark = pytest.mark.anyio

RULES = retention.rules_of(RetentionSection())


async def prune_all(store: Store, rules: retention.Rules, now_ms: int) -> list[int]:
    """Prune until nothing is left; return the sizes of the batches."""
    batches = []
    while deleted := await store.prune(rules, now_ms):
        batches.append(deleted)
    return batches


def count(path: Path, table: str) -> int:
    return int(query(path, f"SELECT count(*) FROM {table}")[0][0])


def test_the_configuration_names_every_rule() -> None:
    """Each table that is pruned has its days in [retention], and nothing else has."""
    assert set(RULES) == set(retention.TABLES) - retention.WITH_MESSAGES


@pytest.mark.parametrize("table", retention.TABLES)
async def test_a_table_is_pruned_by_its_own_rule(store: Store, path: Path, table: str) -> None:
    """Old rows of this table go, its young rows and all other tables stay; a rule of 0 days keeps for ever."""
    for bot_id in ("a", "b", "_fleet"):
        await fill(store, bot_id, now_ms=NOW_MS)
        await converse(store, bot_id, 50, NOW_MS + 3 * DAY_MS, conversation_id="8")
        await know(store, bot_id, "8", NOW_MS + 3 * DAY_MS, 43)
        await store.append_events([(bot_id, NOW_MS + 3 * DAY_MS, "BotStarted", "{}", "")])
        await store.append_logs([(bot_id, NOW_MS + 3 * DAY_MS, 20, "l", "t", "")])
        await store.append_metrics([(bot_id, "replies", (NOW_MS + 3 * DAY_MS) // 60_000, 1, 1.0, 1.0, 1.0)])
    before = dump(path)
    rule = "messages" if table in retention.WITH_MESSAGES else table
    assert await prune_all(store, dict.fromkeys(RULES, 0), NOW_MS + 1000 * DAY_MS) == []
    assert await prune_all(store, {rule: 4}, NOW_MS + 4 * DAY_MS) == []
    assert dump(path) == before
    assert await prune_all(store, {rule: 2}, NOW_MS + 4 * DAY_MS)
    after = dump(path)
    touched = retention.REMEMBERED if rule == "messages" else {table}
    assert {name for name in before if before[name] != after[name]} == touched
    kept = {"updates": 2, "messages": 2}.get(table, 1)
    assert [len([row for row in after[table] if row[0] == bot_id]) for bot_id in ("a", "b", "_fleet")] == [kept] * 3


async def test_pruning_one_bot_leaves_the_others(store: Store, path: Path) -> None:
    """A bot with the same conversations, ids and names, but young, keeps every row."""
    await fill(store, "old", now_ms=NOW_MS)
    await fill(store, "ole", now_ms=NOW_MS + 600 * DAY_MS)
    kept = dump(path, only="ole")
    assert await prune_all(store, RULES, NOW_MS + 601 * DAY_MS)
    assert dump(path, only="ole") == kept
    left = {table for table, rows in dump(path, only="old").items() if rows}
    assert left == retention.KEPT_WITH_THE_BOT | {"updates"}
    assert query(path, "SELECT outcome FROM updates WHERE bot_id = 'old'") == [(None,)]


async def test_open_work_is_never_old(store: Store, path: Path) -> None:
    """Open updates and unsent sends stay for as long as they are open, behind any number of finished ones."""
    partition = store.partition("a")
    await partition.updates.receive([update(n) for n in range(10)], 10, NOW_MS)
    for number in range(1, 9):
        await partition.updates.finish(number, NOW_MS, "ignored")
    await fill(store, "b")
    await store.partition("b").record_turn(turn(None), NOW_MS)
    await prune_all(store, {"updates": 1, "outbox": 1}, NOW_MS + 400 * DAY_MS)
    assert query(path, "SELECT update_id FROM updates WHERE bot_id = 'a' ORDER BY 1") == [(0,), (9,)]
    assert query(path, "SELECT state FROM outbox") == [("attempting",)]


async def test_batches_are_small_and_reach_everything(store: Store, path: Path) -> None:
    """Thousands of old rows of many bots and conversations go in batches of about a thousand at most."""
    old = [(f"b{n % 70}", NOW_MS, 20, "l", "t", "") for n in range(3000)] + [("x", NOW_MS, 20, "l", "t", "")] * 1200
    await store.append_logs(old)
    for number in range(150):
        await converse(store, f"b{number % 3}", number, conversation_id=f"c{number}")
    batches = await prune_all(store, RULES, NOW_MS + 500 * DAY_MS)
    assert sum(batches) == 4200 + 150 * (1 + 1 + 2 + 1 + 1)
    assert max(batches) < 2 * retention.BATCH
    assert [count(path, table) for table in retention.TABLES] == [0] * len(retention.TABLES)


async def test_ids_that_jumped_downwards_are_pruned_too(store: Store, path: Path) -> None:
    """Old updates with high ids do not hide behind young ones with low ids."""
    updates = store.partition("a").updates
    await updates.receive([update(n) for n in range(1_000_000, 1_000_600)], None, NOW_MS)
    for number in range(1_000_000, 1_000_600):
        await updates.finish(number, NOW_MS, "ignored")
    await updates.receive([update(n) for n in range(700)], None, NOW_MS + 6 * DAY_MS)
    for number in range(700):
        await updates.finish(number, NOW_MS + 6 * DAY_MS, "ignored")
    assert sum(await prune_all(store, {"updates": 7}, NOW_MS + 8 * DAY_MS)) == 600
    assert query(path, "SELECT count(*), max(update_id) FROM updates") == [(700, 699)]


async def test_a_pruned_conversation_goes_on(store: Store) -> None:
    """Old messages leave, memory included; new ones get new numbers behind them."""
    await converse(store, "a", 1, NOW_MS)
    await converse(store, "a", 2, NOW_MS + 10 * DAY_MS)
    tail = store.partition("a").messages.tail
    assert [m.seq for m in await tail("acme", "7", 9)] == [1, 2, 3, 4]
    await prune_all(store, {"messages": 5}, NOW_MS + 11 * DAY_MS)
    assert [m.seq for m in await tail("acme", "7", 9)] == [3, 4]
    await converse(store, "a", 3, NOW_MS + 11 * DAY_MS)
    assert [m.seq for m in await tail("acme", "7", 9)] == [3, 4, 5, 6]
