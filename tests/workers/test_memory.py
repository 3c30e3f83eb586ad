"""What a conversation remembers: its own, as much as the file says, at the same cost however long it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.schema import MemorySection
from store.database import Store
from store.messages import StoredMessage
from store.partition import Partition
from store.turns import TurnRecord
from workers.chat.memory import Remembered, estimated, fitting, remember

pytestmark = pytest.mark.anyio


@pytest.fixture
async def partition(tmp_path: Path) -> AsyncIterator[Partition]:
    async with await Store.open(tmp_path / "x.db", now_ms=1, durability="normal") as store:
        yield store.partition("support")


async def say(partition: Partition, question: str, answer: str, place: str = "7", client: str = "") -> None:
    record = TurnRecord(None, client, place, "7", "telegram", "answered", question=question, answer=answer)
    await partition.record_turn(record, 1)


async def recall(
    partition: Partition, place: str = "7", client: str = "", user: str = "7", **memory: Any
) -> Remembered:
    return await remember(MemorySection.model_validate(memory), partition, client, place, user)


def words(remembered: Remembered) -> list[str]:
    return [message.content for message in remembered.messages]


async def test_a_buffer_of_tokens_holds_the_last_that_fit(partition: Partition) -> None:
    """Messages and tokens both bound it; the last pair always goes along, beginning with its question."""
    for number in range(6):
        await say(partition, f"q{number} {'x' * 36}", f"a{number} {'x' * 36}")
    of_one = estimated(f"q0 {'x' * 36}")
    assert of_one == 39 // 4 + 4
    assert len(words(await recall(partition, max_tokens=of_one * 4))) == 4
    assert len(words(await recall(partition, max_tokens=of_one * 4 + 3))) == 4
    assert len(words(await recall(partition, max_tokens=of_one * 5))) == 4
    assert len(words(await recall(partition, max_tokens=1))) == 2
    assert len(words(await recall(partition, max_tokens=10_000, max_messages=6))) == 6


@given(st.lists(st.text(max_size=40), max_size=20), st.integers(1, 200))
def test_what_fits_is_an_end_and_does_not_exceed(texts: list[str], limit: int) -> None:
    """The longest end within the estimate, or the last pair."""
    stored = [StoredMessage(n, "user", text, 0, None) for n, text in enumerate(texts, 1)]
    kept = fitting(stored, limit)
    assert kept == stored[len(stored) - len(kept) :]
    assert len(kept) <= 2 or sum(estimated(m.content) for m in kept) <= limit
    if 2 <= len(kept) < len(stored):
        assert sum(estimated(m.content) for m in stored[-len(kept) - 1 :]) > limit


async def test_a_summary_takes_over_what_leaves_the_buffer(partition: Partition) -> None:
    """Wanted when half as many again have gathered; at least the buffer stays word for word, and never twice as much."""
    for number in range(3):
        await say(partition, f"q{number}", f"a{number}")
    found = await recall(partition, type="summary", max_messages=4)
    assert (len(found.messages), found.condense_upto) == (6, None)
    await say(partition, "q3", "a3")
    found = await recall(partition, type="summary", max_messages=4)
    assert found.condense_upto is not None
    assert (len(found.messages), found.condense_upto.content) == (8, "a1")
    assert await partition.summaries.put("", "7", found.condense_upto, "zero and one", 1)
    found = await recall(partition, type="summary", max_messages=4)
    assert (words(found), found.summary, found.condense_upto) == (["q2", "a2", "q3", "a3"], "zero and one", None)
    for number in range(4, 20):
        await say(partition, f"q{number}", f"a{number}")
    found = await recall(partition, type="summary", max_messages=4)
    assert (len(found.messages), found.summary) == (8, "zero and one")
    assert found.condense_upto is not None
    assert found.condense_upto.content == "a17"


async def test_what_does_not_fit_into_the_tokens_is_condensed_too(partition: Partition) -> None:
    """Long messages leave the buffer before short ones would."""
    for number in range(4):
        await say(partition, f"q{number} {'x' * 400}", f"a{number}")
    found = await recall(partition, type="summary", max_messages=20, max_tokens=120)
    assert len(found.messages) == 2
    assert found.condense_upto is not None
    assert found.condense_upto.content == "a2"


@pytest.mark.parametrize("kind", ["buffer", "summary"])
async def test_a_reset_is_the_beginning_of_every_kind(partition: Partition, kind: str) -> None:
    """What is before it is in no window, no summary, and not condensed."""
    for number in range(9):
        await say(partition, f"q{number}", f"a{number}")
    await partition.conversations.reset("", "7", 1)
    assert await recall(partition, type=kind, max_messages=4) == Remembered([], "", {}, None)
    await say(partition, "new", "yes")
    assert words(await recall(partition, type=kind, max_messages=4)) == ["new", "yes"]


async def test_profiles_are_read_where_the_bot_keeps_them(partition: Partition) -> None:
    """Also without a buffer; nobody known means nobody's facts."""
    await partition.profiles.set("", "7", "name", "Ann", "model", 1)
    assert (await recall(partition)).profile == {}
    assert (await recall(partition, type="none", profile=True)).profile == {"name": "Ann"}
    assert (await recall(partition, profile=True, user="")).profile == {}


async def test_the_file_is_asked_for_the_same_few_rows_however_long_it_is(tmp_path: Path) -> None:
    """At 10 and at 1,000 stored turns a turn reads nothing once its conversation is at hand, and a window before."""
    async with await Store.open(tmp_path / "x.db", now_ms=1, durability="normal") as store:
        partition = store.partition("support")
        for number in range(1_000):
            await say(partition, f"q{number}", f"a{number}", "long")
            if number < 10:
                await say(partition, f"q{number}", f"a{number}", "short")
        asked: list[int] = []
        real = store._reader.fetch

        async def counting(*arguments: Any) -> list[tuple[Any, ...]]:
            rows = await real(*arguments)
            asked.append(len(rows))
            return rows

        store._reader.fetch = counting  # type: ignore[method-assign]
        for place in ("short", "long"):
            for _ in range(3):
                await recall(partition, place, type="summary", max_messages=8, profile=True)
            await say(partition, "q", "a", place)
            await recall(partition, place, type="summary", max_messages=8, profile=True)
        assert asked == [0, 16, 0, 16, 0] or asked == [0, 16, 0, 16, 0, 0]


PLACES = st.tuples(st.sampled_from(["", "acme"]), st.sampled_from(["1", "1:5"]), st.sampled_from(["1", "2"]))
DEEDS = st.sampled_from(["say", "say", "condense", "condense", "note", "reset", "undo"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(DEEDS, PLACES), min_size=8, max_size=30), st.sampled_from(["summary", "buffer", "none"]))
def test_conversations_clients_and_people_never_meet(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, tuple[str, str, str]]], kind: str
) -> None:
    """Whatever is said, condensed, noted, taken back: nobody is ever told a word of another conversation or person."""
    asyncio.run(lead(tmp_path_factory.mktemp("m") / "x.db", deeds, kind))


async def lead(path: Path, deeds: list[tuple[str, tuple[str, str, str]]], kind: str) -> None:
    async with await Store.open(path, now_ms=1, durability="normal") as store:
        partition, other = store.partition("one"), store.partition("two")
        for deed, place in deeds:
            for bot in (partition, other):
                condensed = await do(bot, deed, *place)
                client, conversation, user = place
                found = await recall(bot, conversation, client, user, type=kind, max_messages=4, profile=True)
                mine = f"<{bot.bot_id}|{client}|{conversation}>"
                assert all(mine in text for text in words(found))
                assert found.summary in {"", f"condensed {mine}"}
                assert found.summary or not condensed or kind != "summary"
                assert set(found.profile.values()) <= {f"<{bot.bot_id}|{client}|{user}>"}


async def do(bot: Partition, deed: str, client: str, conversation: str, user: str) -> bool:
    """Do something in a conversation; True when it was condensed."""
    mine = f"<{bot.bot_id}|{client}|{conversation}>"
    if deed == "say":
        await say(bot, f"q {mine}", f"a {mine}", conversation, client)
    elif deed == "note":
        await bot.profiles.set(client, user, "who", f"<{bot.bot_id}|{client}|{user}>", "model", 1)
    elif deed == "reset":
        await bot.conversations.reset(client, conversation, 1)
    elif deed == "undo":
        await bot.conversations.undo(client, conversation, 1)
    elif deed == "condense":
        for message in (await bot.messages.tail(client, conversation, 3))[:1]:
            return await bot.summaries.put(client, conversation, message, f"condensed {mine}", 1)
    return False
