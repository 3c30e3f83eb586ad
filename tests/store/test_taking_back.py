"""Conversations begun anew, taken back, moved: what is remembered afterwards, also when it is asked for twice."""

from __future__ import annotations

import pytest

from store.database import Store
from store.partition import Partition
from tests.store.filling import NOW_MS, converse, query, turn, update

pytestmark = pytest.mark.anyio

LANE = ("acme", "7")


async def said(partition: Partition, conversation: str = "7") -> list[str]:
    return [message.content for message in await partition.messages.tail("acme", conversation, 99)]


async def summarised(partition: Partition, seq: int, conversation: str = "7") -> None:
    message = (await partition.messages.between("acme", conversation, seq - 1, seq, 1))[0]
    assert await partition.summaries.put("acme", conversation, message, f"up to {seq}", NOW_MS)


async def test_a_reset_leaves_everything_behind_and_deletes_nothing(store: Store) -> None:
    """Nothing said before is remembered; the operator can still read it; a second reset leaves nothing more behind."""
    mine = store.partition("a")
    for number in (1, 2):
        await converse(store, "a", number)
    await summarised(mine, 2)
    assert await mine.conversations.reset(*LANE, NOW_MS) == 4
    assert (await said(mine), await mine.summaries.get(*LANE)) == ([], None)
    assert await mine.conversations.reset(*LANE, NOW_MS) == 0
    assert len(await mine.messages.page(*LANE, 9)) == 4
    await converse(store, "a", 3)
    assert await said(mine) == ["q3", "a3"]
    assert [m.seq for m in await mine.messages.between(*LANE, 0, 99, 99)] == [5, 6]
    assert await mine.conversations.reset("acme", "never", NOW_MS) == 0


async def test_the_last_question_is_taken_back_once_for_each_who_asks(store: Store) -> None:
    """Question and answer go; the update that asked finds it done; nothing before a reset is touched."""
    mine = store.partition("a")
    for number in (1, 2, 3):
        await converse(store, "a", number)
    taken = await mine.conversations.undo(*LANE, NOW_MS, update_id=90)
    assert taken is not None
    assert (taken.content, await said(mine)) == ("q3", ["q1", "a1", "q2", "a2"])
    assert await mine.conversations.undo(*LANE, NOW_MS, update_id=90) is None
    taken = await mine.conversations.undo(*LANE, NOW_MS, update_id=91)
    assert taken is not None
    await mine.conversations.reset(*LANE, NOW_MS)
    assert await mine.conversations.undo(*LANE, NOW_MS) is None
    assert [m.content for m in await mine.messages.page(*LANE, 9)] == ["q1", "a1"]


async def test_a_number_is_never_given_twice(store: Store) -> None:
    """A summary says by a number how far it reaches: what is said after something taken back is beyond it."""
    mine = store.partition("a")
    for number in (1, 2):
        await converse(store, "a", number)
    await mine.conversations.undo(*LANE, NOW_MS)
    await converse(store, "a", 3)
    assert [m.seq for m in await mine.messages.tail(*LANE, 9)] == [1, 2, 5, 6]


async def test_a_summary_goes_with_what_it_holds(store: Store) -> None:
    """Taking back a question beyond it leaves it; one within it takes it along."""
    mine = store.partition("a")
    for number in (1, 2, 3):
        await converse(store, "a", number)
    await summarised(mine, 4)
    await mine.conversations.undo(*LANE, NOW_MS)
    assert await mine.summaries.get(*LANE) is not None
    await mine.conversations.undo(*LANE, NOW_MS)
    assert await mine.summaries.get(*LANE) is None


async def test_a_summary_of_what_is_gone_is_not_stored(store: Store) -> None:
    """Condensed while it was taken back, left behind or pruned; an older one does not replace a later one."""
    mine = store.partition("a")
    for number in (1, 2):
        await converse(store, "a", number)
    early, last = (await mine.messages.tail(*LANE, 4))[1::2]
    assert await mine.summaries.put(*LANE, last, "later", NOW_MS)
    assert not await mine.summaries.put(*LANE, early, "earlier", NOW_MS)
    await mine.conversations.undo(*LANE, NOW_MS)
    assert not await mine.summaries.put(*LANE, last, "gone", NOW_MS)
    await mine.conversations.reset(*LANE, NOW_MS)
    assert not await mine.summaries.put(*LANE, early, "left behind", NOW_MS)
    assert await mine.summaries.get(*LANE) is None
    await store.remove_partition("a")
    assert not await mine.summaries.put(*LANE, early, "removed", NOW_MS, tokens=turn(1).tokens)
    assert await store.bot_ids() == []


async def test_a_group_keeps_its_conversations_under_a_new_number(store: Store) -> None:
    """With topics, of every tenant, model, summary and usage; asked again it moves nothing; others stay."""
    mine = store.partition("a")
    for number, place in ((1, "-5"), (2, "-5:3"), (3, "-55"), (4, "-5")):
        await converse(store, "a", number, conversation_id=place)
    await converse(store, "a", 5, conversation_id="-5", client_id="other")
    await mine.conversations.choose_model("acme", "-5", "big", NOW_MS)
    await summarised(mine, 2, "-5")
    assert await mine.conversations.model_of("acme", "-1005") == ""
    assert await mine.conversations.move("-5", "-1005") == 3
    assert await mine.conversations.move("-5", "-1005") == 0
    assert await said(mine, "-1005") == ["q1", "a1", "q4", "a4"]
    assert (await said(mine, "-1005:3"), await said(mine, "-55")) == (["q2", "a2"], ["q3", "a3"])
    assert await said(mine, "-5") == []
    assert await mine.conversations.model_of("acme", "-1005") == "big"
    summary = await mine.summaries.get("acme", "-1005")
    assert summary is not None
    assert summary.upto_seq == 2
    assert [(s.key, s.calls) for s in await mine.usage.sums("chat")] == [("-1005", 3), ("-1005:3", 1), ("-55", 1)]


async def test_what_was_said_under_the_new_number_already_comes_after(store: Store) -> None:
    """Old first, new behind, numbers without a clash; the sums are those of both."""
    mine = store.partition("a")
    for number, place in ((1, "-5"), (2, "-5"), (3, "-1005"), (4, "-1005")):
        await converse(store, "a", number, conversation_id=place)
    await mine.conversations.move("-5", "-1005")
    assert await said(mine, "-1005") == ["q1", "a1", "q2", "a2", "q3", "a3", "q4", "a4"]
    (row,) = await mine.conversations.recent()
    assert (row.conversation_id, row.turns, row.last_seq) == ("-1005", 4, 8)
    await converse(store, "a", 5, conversation_id="-1005")
    assert (await mine.messages.tail("acme", "-1005", 1))[0].seq == 10


async def test_a_model_may_be_chosen_before_anything_was_said(store: Store) -> None:
    """The conversation belongs to whoever speaks in it first; the choice can be given back."""
    mine = store.partition("a")
    await mine.conversations.choose_model(*LANE, "big", NOW_MS)
    await converse(store, "a", 1)
    (row,) = await mine.conversations.recent()
    assert (row.user_id, row.channel, row.turns) == ("42", "telegram", 1)
    assert await mine.conversations.model_of(*LANE) == "big"
    await mine.conversations.choose_model(*LANE, "", NOW_MS)
    assert await mine.conversations.model_of(*LANE) == ""


async def test_a_preview_is_known_to_the_next_process(store: Store) -> None:
    """As long as the update is open."""
    mine = store.partition("a")
    await mine.updates.receive([update(1), update(2)], 3, NOW_MS)
    await mine.updates.preview(1, 77)
    assert [(u.update_id, u.preview_id) for u in await mine.updates.open()] == [(1, 77), (2, None)]
    await mine.updates.preview(1, None)
    await mine.updates.finish(2, NOW_MS, "ignored")
    await mine.updates.preview(2, 78)
    assert query(store.path, "SELECT preview_id FROM updates") == [(None,), (None,)]


async def test_a_chat_is_noted_as_it_is_now(store: Store) -> None:
    """An empty title leaves the one that is known, as no new number leaves the old one."""
    chats = store.partition("a").chats
    await chats.put(-5, "group", "Friends", "member", NOW_MS)
    await chats.put(-5, "group", "", "left", NOW_MS + 1, moved_to=-1005)
    await chats.put(-5, "group", "", "left", NOW_MS + 2)
    chat = await chats.get(-5)
    assert chat is not None
    assert (chat.title, chat.state, chat.moved_to) == ("Friends", "left", -1005)
    with pytest.raises(ValueError, match="gone"):
        await chats.put(-5, "group", "", "gone", NOW_MS)
