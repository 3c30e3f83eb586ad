"""Partitions: whatever is done to one bot, every other bot's rows stay as they were, byte for byte."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from store import migrate, retention
from store.database import Store
from store.outbox import NewSend
from store.partition import Partition
from tests.store.filling import NOW_MS, dump, fill, tables, turn, update

IDS = st.integers(min_value=1, max_value=6)
TEXTS = st.text(max_size=20)


class OnePartitionChanges(RuleBasedStateMachine):
    """Random operations on the bot `changing`; its neighbours in the key, and the fleet, are dumped and compared."""

    NEIGHBOURS = ("before", "changinf", "changing-", "changinh", "_fleet")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "botdeck.db"
        self.store = self.run(Store.open(self.path, now_ms=NOW_MS, durability="normal"))
        for name in (*self.NEIGHBOURS, "changing"):
            self.run(fill(self.store, name))
        self.others = dump(self.path, without="changing")

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def mine(self) -> Partition:
        return self.store.partition("changing")

    @rule(ids=st.lists(IDS, max_size=3), text=TEXTS, offset=st.none() | IDS)
    def receive(self, ids: list[int], text: str, offset: int | None) -> None:
        self.run(self.mine.updates.receive([update(n, text=text) for n in ids], offset, NOW_MS))

    @rule(update_id=IDS, outcome=st.sampled_from(["ignored", "expired"]), text=TEXTS)
    def finish(self, update_id: int, outcome: str, text: str) -> None:
        self.run(self.mine.updates.finish(update_id, NOW_MS, outcome, text))
        self.run(self.mine.updates.attempt_failed(update_id, text))
        self.run(self.mine.updates.poison(update_id + 1, text, NOW_MS))

    @rule(update_id=st.none() | IDS, conversation=TEXTS, text=TEXTS, sends=st.integers(0, 3))
    def record(self, update_id: int | None, conversation: str, text: str, sends: int) -> None:
        parts = tuple(NewSend(7, "7", "sendMessage", text) for _ in range(sends))
        self.run(self.mine.record_turn(turn(update_id, conversation, answer=text, sends=parts), NOW_MS))

    @rule(number=st.integers(0, 5), text=TEXTS)
    def send(self, number: int, text: str) -> None:
        outbox = self.mine.outbox
        changes: list[Callable[[int], Any]] = [
            outbox.attempting,
            outbox.waiting,
            lambda n: outbox.ambiguous(n, NOW_MS),
            lambda n: outbox.failed(n, text, NOW_MS),
            lambda n: outbox.ambiguous(n, NOW_MS, skipped=text),
            lambda n: self.mine.finish_sends([(n, 5)], NOW_MS),
        ]
        for sent in self.run(outbox.open())[:2]:
            self.run(changes[number](sent.outbox_id))

    @rule(text=TEXTS, count=st.integers(0, 3))
    def steer(self, text: str, count: int) -> None:
        self.run(self.mine.state.save(NOW_MS, phase_reason=text, paused=bool(count)))
        self.run(self.mine.state.add(NOW_MS, turns=count, restarts=1))
        self.run(self.mine.registrations.add(text, NOW_MS))

    @rule(text=TEXTS, minute=IDS)
    def append(self, text: str, minute: int) -> None:
        self.run(self.store.append_events([("changing", NOW_MS, "OperatorActed", text, text)]))
        self.run(self.store.append_logs([("changing", NOW_MS, 30, "l", text, text)]))
        self.run(self.store.append_metrics([("changing", "m", minute, 1, 1.0, 1.0, 1.0)]))

    @rule(user=IDS, text=TEXTS, place=st.sampled_from(["7", "-5", "42"]))
    def know(self, user: int, text: str, place: str) -> None:
        mine = self.mine
        self.run(mine.access.set(user, "blocked", text, text, NOW_MS))
        self.run(mine.access.new_code(text, NOW_MS + user, text, NOW_MS))
        self.run(mine.access.redeem(text, user + 1, text, NOW_MS))
        self.run(mine.chats.put(user, "group", text, "left", NOW_MS))
        self.run(mine.profiles.set("acme", str(user), f"fact {user}", f"x{text}", text, NOW_MS))
        self.run(mine.conversations.choose_model("acme", place, text, NOW_MS))
        for message in self.run(mine.messages.tail("acme", place, 1)):
            self.run(mine.summaries.put("acme", place, message, text, NOW_MS))

    @rule(place=st.sampled_from(["7", "-5", "42"]), other=st.sampled_from(["7", "-6", "43"]), user=TEXTS)
    def take_back(self, place: str, other: str, user: str) -> None:
        conversations = self.mine.conversations
        self.run(conversations.undo("acme", place, NOW_MS))
        self.run(conversations.reset("acme", place, NOW_MS))
        self.run(conversations.move(place, other))
        self.run(conversations.forget("acme", user))
        self.run(conversations.forget("acme", "42"))

    @rule()
    def export_remove_import(self) -> None:
        target = self.folder / "out.jsonl"
        mine = dump(self.path, only="changing")
        self.run(self.store.export_partition("changing", target, overwrite=True))
        self.run(self.store.remove_partition("changing"))
        assert not any(dump(self.path, only="changing").values())
        self.run(self.store.import_partition(target, now_ms=NOW_MS))
        assert dump(self.path, only="changing") == mine

    @rule()
    def remove(self) -> None:
        self.run(self.store.remove_partition("changing"))
        assert self.run(self.mine.messages.tail("acme", "7", 5)) == []

    @invariant()
    def others_are_untouched(self) -> None:
        assert dump(self.path, without="changing") == self.others

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)


OnePartitionChanges.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
TestOnePartitionChanges = OnePartitionChanges.TestCase


# --- the walk over the schema: what a new table must bring with it ---------------------------------------------


@pytest.fixture
def schema() -> Any:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate.migrate(connection, NOW_MS)
        yield connection


def names(connection: sqlite3.Connection) -> list[str]:
    return [n for (n,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def test_every_table_is_clustered_by_its_bot(schema: sqlite3.Connection) -> None:
    """STRICT, WITHOUT ROWID, bot_id the first column of the primary key and never null."""
    assert names(schema)
    for table in names(schema):
        ((kind, _, without_rowid, strict),) = schema.execute(
            "SELECT type, ncol, wr, strict FROM pragma_table_list(?)", (table,)
        ).fetchall()
        columns = schema.execute('SELECT name, "notnull", pk FROM pragma_table_info(?)', (table,)).fetchall()
        assert (kind, without_rowid, strict) == ("table", 1, 1), table
        assert [(name, notnull) for name, notnull, pk in columns if pk == 1] == [("bot_id", 1)], table


def test_every_index_begins_with_the_bot(schema: sqlite3.Connection) -> None:
    """No index mixes the rows of bots."""
    indexes = schema.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL").fetchall()
    assert {name for (name,) in indexes} == {"updates_open", "outbox_open"}
    for (name,) in indexes:
        assert schema.execute("SELECT name FROM pragma_index_info(?) LIMIT 1", (name,)).fetchone() == ("bot_id",)


def test_every_table_has_a_retention_rule(schema: sqlite3.Connection) -> None:
    """A table is either pruned by age or named as living with its bot, or with the fleet."""
    assert set(names(schema)) == set(retention.TABLES) | retention.KEPT_WITH_THE_BOT | retention.OF_THE_FLEET
    assert not set(retention.TABLES) & retention.KEPT_WITH_THE_BOT


@pytest.mark.anyio
async def test_the_partition_test_covers_every_table(store: Store, path: Path) -> None:
    """`fill`, which the machine above compares neighbours by, puts a row of the bot into each table."""
    await fill(store, "a")
    assert {table for table in tables(path) if not dump(path, only="a")[table]} == retention.OF_THE_FLEET


def test_no_method_of_a_partition_takes_a_bot() -> None:
    """The bot is bound when the partition is made; nothing reached through it can name another."""
    parts = [Partition] + [
        value for value in Partition.__init__.__globals__.values()
        if inspect.isclass(value) and any("_bot_id" in getattr(c, "__slots__", ()) for c in value.__mro__)
    ]  # fmt: skip
    assert len(parts) == 16
    for part in parts:
        for name, method in inspect.getmembers(part, inspect.isfunction):
            if name != "__init__":
                assert "bot_id" not in inspect.signature(method).parameters, f"{part.__name__}.{name}"
