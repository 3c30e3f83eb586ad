"""The memory of conversation ends never says anything the file does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.database import Store
from store.messages import StoredMessage
from store.partition import Partition
from store.tails import Tails
from tests.store.filling import DAY_MS, NOW_MS, query, turn

KEY = ("a", "acme", "7")


def said(seq: int, text: str = "x") -> StoredMessage:
    return StoredMessage(seq, "user", text, NOW_MS, None)


def seqs(tails: Tails[StoredMessage], limit: int, key: tuple[str, str, str] = KEY) -> list[int] | None:
    found = tails.get(key, limit)
    return None if found is None else [m.seq for m in found]


def filled(*numbers: int, limit: int) -> Tails[StoredMessage]:
    tails: Tails[StoredMessage] = Tails()
    tails.fill(KEY, tails.begin(KEY), [said(n) for n in numbers], limit)
    return tails


def test_a_committed_turn_moves_the_tail_on() -> None:
    """The last messages are kept, as many as were asked for; more than that must be read from the file."""
    tails = filled(3, 4, 5, 6, limit=4)
    tails.append(KEY, [said(7), said(8)])
    assert seqs(tails, 4) == [5, 6, 7, 8]
    assert seqs(tails, 2) == [7, 8]
    assert seqs(tails, 5) is None


def test_a_whole_conversation_answers_any_limit_until_it_outgrows_the_memory() -> None:
    """When everything said is in memory, asking for more gives everything."""
    tails = filled(1, 2, limit=4)
    assert seqs(tails, 100) == [1, 2]
    tails.append(KEY, [said(3), said(4)])
    tails.append(KEY, [said(5), said(6)])
    assert seqs(tails, 100) is None
    assert seqs(tails, 4) == [3, 4, 5, 6]


def test_a_read_that_began_before_a_commit_is_not_remembered() -> None:
    """What a read found may be older than a turn committed meanwhile."""
    tails: Tails[StoredMessage] = Tails()
    ticket = tails.begin(KEY)
    tails.append(KEY, [said(3), said(4)])
    tails.fill(KEY, ticket, [said(1), said(2)], 4)
    assert seqs(tails, 4) is None
    ticket = tails.begin(KEY)
    tails.forget("a")
    tails.fill(KEY, ticket, [said(1)], 4)
    assert seqs(tails, 4) is None


def test_a_commit_that_a_read_has_seen_is_not_appended_twice() -> None:
    """The file may show a commit before the loop hears of it; a gap makes the memory void."""
    tails = filled(1, 2, 3, 4, limit=10)
    tails.append(KEY, [said(3), said(4)])
    assert seqs(tails, 10) == [1, 2, 3, 4]
    tails.append(KEY, [said(7), said(8)])
    assert seqs(tails, 10) is None
    assert tails.characters == 0


def test_memory_is_bounded_by_conversations_and_by_characters() -> None:
    """The conversation spoken in longest ago goes first."""
    tails: Tails[StoredMessage] = Tails(conversations=3, characters=100)
    for name in "1234":
        key = ("a", "acme", name)
        tails.fill(key, tails.begin(key), [said(1)], 5)
    assert [seqs(tails, 5, ("a", "acme", name)) for name in "1234"] == [None, [1], [1], [1]]
    tails.append(("a", "acme", "3"), [said(2, "y" * 98)])
    assert (len(tails), tails.characters) == (2, 100)
    tails.append(("a", "acme", "4"), [said(2, "y" * 200)])
    assert (len(tails), tails.characters) == (0, 0)


def test_forgetting_one_bot_leaves_the_others() -> None:
    """A removed bot's conversations leave the memory."""
    tails = filled(1, limit=2)
    tails.fill(("b", "acme", "7"), tails.begin(("b", "acme", "7")), [said(1)], 2)
    tails.forget("a")
    assert (seqs(tails, 2), seqs(tails, 2, ("b", "acme", "7"))) == (None, [1])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.sampled_from("ab"), st.sampled_from("12")),
        st.tuples(st.just("tail"), st.sampled_from("ab"), st.sampled_from("12"), st.sampled_from([0, 1, 2, 3, 50])),
        st.tuples(st.just("both"), st.sampled_from("ab"), st.sampled_from("12"), st.sampled_from([1, 2, 50])),
        st.tuples(st.just("cancelled"), st.sampled_from("ab"), st.sampled_from("12")),
        st.tuples(st.sampled_from(["undo", "reset", "forget", "move"]), st.sampled_from("ab"), st.sampled_from("12")),
        st.tuples(st.just("undone"), st.sampled_from("ab"), st.sampled_from("12")),
        st.tuples(st.just("remove"), st.sampled_from("ab")),
        st.tuples(st.just("prune")),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_tail_is_what_the_file_says(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """After any turns, reads at the same time, cancellations, removals, pruning and changes, memory and file agree."""
    path = tmp_path_factory.mktemp("tails") / "botdeck.db"
    asyncio.run(replay(path, steps))


async def replay(path: Path, steps: list[Any]) -> None:
    now_ms = NOW_MS
    async with await Store.open(path, now_ms=now_ms, durability="normal") as store:
        for kind, *arguments in steps:
            now_ms += DAY_MS // 2
            await step(store, now_ms, kind, *arguments)
            for bot_id in "ab":
                for conversation in "12":
                    for limit in (2, 1000):
                        found = await store.partition(bot_id).messages.tail("acme", conversation, limit)
                        assert [m.seq for m in found] == in_file(path, bot_id, conversation, limit)


async def step(
    store: Store, now_ms: int, kind: str, bot_id: str = "a", conversation: str = "1", limit: int = 0
) -> None:
    partition = store.partition(bot_id)
    if kind == "turn":
        await partition.record_turn(turn(None, conversation), now_ms)
    elif kind == "tail":
        await partition.messages.tail("acme", conversation, limit)
    elif kind == "both":
        store._tails.forget()
        reading = asyncio.ensure_future(partition.messages.tail("acme", conversation, limit))
        await asyncio.gather(reading, partition.record_turn(turn(None, conversation), now_ms))
    elif kind == "cancelled":
        writing = asyncio.ensure_future(partition.record_turn(turn(None, conversation), now_ms))
        reading = asyncio.ensure_future(partition.messages.tail("acme", conversation, 2))
        await asyncio.wait([reading])
        writing.cancel()
        await asyncio.wait([writing])
        await partition.state.save(now_ms, name="x")  # whatever was queued is committed and delivered by now
    elif kind in {"undo", "reset", "forget", "move"}:
        await change(partition, kind, conversation, now_ms)
    elif kind == "undone":
        reading = asyncio.ensure_future(partition.messages.tail("acme", conversation, 50))
        undoing = change(partition, "undo", conversation, now_ms)
        await asyncio.gather(reading, undoing, partition.record_turn(turn(None, conversation), now_ms))
    elif kind == "remove":
        await store.remove_partition(bot_id)
    else:
        while await store.prune({"messages": 2}, now_ms):
            pass


async def change(partition: Partition, kind: str, conversation: str, now_ms: int) -> None:
    conversations = partition.conversations
    if kind == "undo":
        await conversations.undo("acme", conversation, now_ms)
    elif kind == "reset":
        await conversations.reset("acme", conversation, now_ms)
    elif kind == "forget":
        await conversations.forget("acme", conversation)
    else:
        await conversations.move(conversation, "12".replace(conversation, ""))


def in_file(path: Path, bot_id: str, conversation: str, limit: int) -> list[int]:
    sql = (
        "SELECT m.seq FROM messages m JOIN conversations c USING (bot_id, client_id, conversation_id)"
        " WHERE bot_id = ? AND conversation_id = ? AND m.seq > c.start_seq ORDER BY m.seq DESC LIMIT ?"
    )
    return [seq for (seq,) in query(path, sql, bot_id, conversation, limit)][::-1]
