"""Inbox, outbox and the turn between them: what makes nothing lost and nothing done twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from store.database import Store
from store.outbox import NewSend
from store.usage import Tokens
from tests.store.filling import NOW_MS, converse, query, turn, update

pytestmark = pytest.mark.anyio


async def test_a_batch_and_its_offset_are_one(store: Store) -> None:
    """Received updates are open in order of arrival, whatever their ids; the offset is kept with them."""
    updates = store.partition("a").updates
    assert await updates.receive([update(9), update(3), update(5)], 10, NOW_MS) == [9, 3, 5]
    assert await updates.receive([update(1)], 6, NOW_MS) == [1]
    opened = await updates.open()
    assert [u.update_id for u in opened] == [9, 3, 5, 1]
    assert [u.arrival for u in opened] == sorted(u.arrival for u in opened)
    assert (await updates.open(2), await updates.open_count()) == (opened[:2], 4)
    state = await store.partition("a").state.load()
    assert state is not None
    assert state.next_offset == 6


async def test_answers_find_what_they_took(store: Store) -> None:
    """By the moment both were written, and by the update where there is one; those of one millisecond in their order."""
    partition = store.partition("a")
    await partition.updates.receive([update(1), update(2)], 3, NOW_MS)
    voice = Tokens("openai", "whisper-1", 5, 6)
    for number in (1, 2):
        await partition.record_turn(replace(turn(number), further=(voice,)), NOW_MS)
    for number in range(3):
        record = replace(turn(None), tokens=Tokens("echo", "echo", number), conversation_id="7")
        await partition.record_turn(record, NOW_MS + (number == 2))
        await partition.record_turn(replace(record, client_id="globex"), NOW_MS)
        await partition.usage.add("acme", "7", "u", Tokens("echo", "summary"), NOW_MS + 2)
    answers = (await partition.messages.page("acme", "7", 99))[1::2]
    took = await partition.usage.of_answers("acme", "7", answers)
    assert [(took[each.seq].model, took[each.seq].input_tokens) for each in answers] == [
        ("echo-1", 10), ("echo-1", 10), ("echo", 0), ("echo", 1), ("echo", 2),
    ]  # fmt: skip
    assert await partition.usage.of_answers("nobody", "7", [each for each in answers if each.update_id is None]) == {}


async def test_a_repeat_is_recognised_by_its_key(store: Store) -> None:
    """What comes again is not new, open or finished; an empty batch may move the offset."""
    updates = store.partition("a").updates
    await updates.receive([update(1), update(2)], 3, NOW_MS)
    await updates.finish(1, NOW_MS, "ignored")
    assert await updates.receive([update(1), update(2), update(3)], 4, NOW_MS) == [3]
    assert await updates.receive([], 8, NOW_MS) == []
    assert [u.update_id for u in await updates.open()] == [2, 3]
    assert await store.partition("b").updates.receive([update(1)], 2, NOW_MS) == [1]


async def test_a_turn_is_recorded_whole(store: Store, path: Path) -> None:
    """One call finishes the update, remembers both messages, the tokens, the sends, and counts."""
    partition = store.partition("a")
    await partition.updates.receive([update(1)], 2, NOW_MS)
    parts = tuple(NewSend(7, "7", "sendMessage", f'{{"text":"{n}"}}') for n in range(3))
    ids = await partition.record_turn(turn(1, sends=parts), NOW_MS)
    sends = await partition.outbox.open()
    assert [s.outbox_id for s in sends] == list(ids) == sorted(ids)
    assert [(s.state, s.attempts, s.part, s.parts) for s in sends] == [
        ("attempting", 1, 1, 3), ("pending", 0, 2, 3), ("pending", 0, 3, 3),
    ]  # fmt: skip
    assert [(m.seq, m.role, m.content) for m in await partition.messages.tail("acme", "7", 9)] == [
        (1, "user", "q1"), (2, "assistant", "a1"),
    ]  # fmt: skip
    (total,) = await partition.usage.totals()
    assert (total.calls, total.input_tokens, total.output_tokens, total.cached_tokens) == (1, 10, 20, 5)
    assert query(path, "SELECT outcome, payload FROM updates") == [("answered", "")]
    state = await partition.state.load()
    assert state is not None
    assert (state.turns, state.errors) == (1, 0)
    (conversation,) = await partition.conversations.recent()
    assert (conversation.turns, conversation.last_seq, await partition.conversations.count()) == (1, 2, 1)


async def test_a_conversation_grows_turn_by_turn(store: Store) -> None:
    """Messages are numbered without a gap and roles alternate; conversations do not mix."""
    for number in (1, 2, 3):
        await converse(store, "a", number, conversation_id="7" if number < 3 else "8")
    found = {c.conversation_id: c for c in await store.partition("a").conversations.recent()}
    assert {name: (c.turns, c.last_seq) for name, c in found.items()} == {"7": (2, 4), "8": (1, 2)}
    messages = await store.partition("a").messages.tail("acme", "7", 9)
    assert [(m.seq, m.role) for m in messages] == [(1, "user"), (2, "assistant"), (3, "user"), (4, "assistant")]


async def test_a_turn_is_recorded_once(store: Store, path: Path) -> None:
    """Recorded again, in a row or at the same time, a turn writes nothing and says so."""
    partition = store.partition("a")
    await partition.updates.receive([update(1)], 2, NOW_MS)
    results = await asyncio.gather(*(partition.record_turn(turn(1), NOW_MS) for _ in range(5)))
    assert sorted(map(len, results)) == [0, 0, 0, 0, 1]
    assert await partition.record_turn(turn(1), NOW_MS) == ()
    assert await partition.record_turn(turn(77), NOW_MS) == ()
    counts = [query(path, f"SELECT count(*) FROM {t}")[0][0] for t in ("messages", "usage", "outbox", "updates")]
    assert counts == [2, 1, 1, 1]
    assert query(path, "SELECT turns FROM bots") == [(1,)]


async def test_a_failed_turn_leaves_no_half_conversation(store: Store) -> None:
    """Without an answer only the apology goes out: no message, no tokens, the error counted."""
    partition = store.partition("a")
    await partition.updates.receive([update(1)], 2, NOW_MS)
    failed = turn(1, question=None, answer=None, tokens=None, error="no model", outcome="failed")
    assert len(await partition.record_turn(failed, NOW_MS)) == 1
    assert await partition.messages.tail("acme", "7", 9) == []
    assert await partition.usage.totals() == []
    state = await partition.state.load()
    assert state is not None
    assert (state.turns, state.errors) == (1, 1)
    assert [(u.outcome, u.error) for u in await partition.updates.recent()] == [("failed", "no model")]


async def test_a_turn_without_an_update_may_be_recorded(store: Store) -> None:
    """A bot reached without a channel has turns too."""
    partition = store.partition("a")
    assert await partition.record_turn(turn(None, sends=()), NOW_MS) == ()
    assert len(await partition.messages.tail("acme", "7", 9)) == 2


async def test_a_send_goes_through_its_states(store: Store, path: Path) -> None:
    """pending → attempting → back to pending → attempting → in doubt → attempting → sent; a finished send changes no more.

    A doubt is counted once, however often it is asked for, and only of a send that was on its way.
    """
    outbox = store.partition("a").outbox
    (first, second, third) = await outbox.add([NewSend(7, "7", "sendMessage", "{}")] * 3, NOW_MS)
    await outbox.attempting(first, NOW_MS)
    await outbox.waiting(first)
    assert [(s.state, s.attempts) for s in await outbox.open()] == [("pending", 1), ("pending", 0), ("pending", 0)]
    await outbox.attempting(first)
    await outbox.ambiguous(first, NOW_MS)
    await outbox.ambiguous(first, NOW_MS)
    await outbox.ambiguous(12345, NOW_MS)
    assert [s.state for s in await outbox.open()] == ["pending", "pending", "pending"]
    await outbox.attempting(first)
    await outbox.sent(first, 55, NOW_MS + 1)
    await outbox.failed(second, "refused", NOW_MS)
    await outbox.attempting(third)
    await outbox.ambiguous(third, NOW_MS, skipped="in doubt")
    await outbox.ambiguous(third, NOW_MS)
    for late in (outbox.attempting(first), outbox.failed(first, "x", NOW_MS), outbox.sent(second, 1, NOW_MS)):
        await late
    seen = [(s.state, s.message_id, s.attempts, s.ambiguous, s.error, s.params) for s in await outbox.recent()]
    assert seen == [
        ("skipped", None, 1, 1, "in doubt", "{}"), ("failed", None, 0, 0, "refused", "{}"), ("sent", 55, 3, 1, "", ""),
    ]  # fmt: skip
    assert (await outbox.open(), await outbox.open_count()) == ([], 0)
    assert query(path, "SELECT ambiguous_sends FROM bots") == [(2,)]


async def test_poison_is_kept_to_be_looked_at(store: Store) -> None:
    """An update set aside is no longer open but keeps its payload and its error; attempts are counted before."""
    updates = store.partition("a").updates
    await updates.receive([update(1), update(2)], 3, NOW_MS)
    assert [await updates.attempt_failed(1, "boom", NOW_MS) for _ in range(3)] == [1, 2, 3]
    assert await updates.attempt_failed(99, "boom") == 0
    await updates.poison(1, "boom", NOW_MS)
    (poisoned,) = await updates.poisoned()
    assert (poisoned.update_id, poisoned.payload, poisoned.error) == (1, update(1).payload, "boom")
    assert [u.update_id for u in await updates.open()] == [2]
    assert await updates.finish(1, NOW_MS, "ignored") is False


HOSTILE = ["a\x00b", "\ud83d", "\udc00\ud800", "\ud83d\ude00", "\x1b[31mred", "\u202eabc", "é" * 5000, "x" * 1_000_000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_any_text_can_be_kept(store: Store, text: str) -> None:
    """NUL, lone surrogates, escapes, a megabyte: stored as they are, lone surrogates as U+FFFD, and read back."""
    partition = store.partition("a")
    await partition.updates.receive([update(1, text=text)], 2, NOW_MS)
    assert len(await partition.record_turn(turn(1, question=text, answer=text, error=text), NOW_MS)) == 1
    await partition.state.save(NOW_MS, config_error=text)
    await store.append_logs([("a", NOW_MS, 20, "l", text, text)])
    await store.append_events([("a", NOW_MS, "TurnFailed", text, text)])
    store._tails.forget()
    kept = [m.content for m in await partition.messages.tail("acme", "7", 2)]
    assert kept == [text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")] * 2
    assert (await partition.logs.tail())[0].text == kept[0]
    assert (await partition.events.tail())[0].data == kept[0]


async def test_ids_grow_over_bots_restarts_and_set_back_clocks(path: Path) -> None:
    """An id is above all given before, though the clock was set back and the process ended in between."""
    seen: list[int] = []
    for number, now_ms in enumerate([NOW_MS, NOW_MS - 3_600_000, NOW_MS + 5], 1):
        async with await Store.open(path, now_ms=now_ms, durability="normal") as store:
            for bot_id in ("b", "a"):
                seen += await converse(store, bot_id, number, now_ms)
                await store.append_events([(bot_id, now_ms, "BotStarted", "{}", "")] * 2)
            rows = await store.tail_events(4)
            assert [row.event_id for row in rows] == sorted(row.event_id for row in rows)
            seen += [row.event_id for row in rows if row.event_id > seen[-1]]
    assert seen == sorted(set(seen))


async def test_counters_and_columns_of_a_bot(store: Store) -> None:
    """Named columns are upserted and counters added, for a bot never seen too; unknown names are refused."""
    state = store.partition("a").state
    assert await state.load() is None
    await state.add(NOW_MS, restarts=2, errors=1)
    await state.save(NOW_MS + 1, paused=True, failures=[[NOW_MS, "boom"]], conditions={"ready": True})
    await state.save(NOW_MS + 2, conditions='{"ready": false}')
    loaded = await state.load()
    assert loaded is not None
    assert (loaded.restarts, loaded.errors, loaded.paused) == (2, 1, True)
    assert (loaded.failures, loaded.conditions) == (((NOW_MS, "boom"),), '{"ready": false}')
    assert (loaded.created_ms, loaded.updated_ms) == (NOW_MS, NOW_MS + 2)
    for wrong in (state.save(NOW_MS, nonsense=1), state.add(NOW_MS, phase=1)):
        with pytest.raises(ValueError, match="no such"):
            await wrong


async def test_a_follower_misses_nothing(store: Store) -> None:
    """Without after_id the last rows come; with it the first behind it, in order, kinds and levels filtered."""
    for number in range(10):
        await store.append_events([("a", NOW_MS + number, "Even" if number % 2 == 0 else "Odd", str(number), "")])
        await store.append_logs([("a", NOW_MS + number, 10 * (number % 3), "l", str(number), "")])
    events, logs = store.partition("a").events, store.partition("a").logs
    assert [e.data for e in await events.tail(3)] == ["7", "8", "9"]
    first, *_ = await events.tail(10)
    assert [e.data for e in await events.tail(3, first.event_id)] == ["1", "2", "3"]
    assert [e.data for e in await events.tail(2, kinds=["Even"])] == ["6", "8"]
    assert [e.data for e in await events.tail(since_ms=NOW_MS + 8)] == ["8", "9"]
    assert [e.data for e in await store.tail_events(2, first.event_id, ["Odd"])] == ["1", "3"]
    line, *_ = await logs.tail(10)
    assert [entry.text for entry in await logs.tail(3, after_id=line.log_id)] == ["1", "2", "3"]
    assert [entry.text for entry in await logs.tail(2, NOW_MS + 1, 20)] == ["5", "8"]


async def test_metrics_of_one_minute_add_up(store: Store) -> None:
    """Roll-ups written twice for one minute become one row."""
    rows = [("a", "turn_s", 100, 2, 3.0, 1.0, 2.0), ("a", "turn_s", 101, 1, 5.0, 5.0, 5.0)]
    await store.append_metrics(rows)
    await store.append_metrics([("a", "turn_s", 100, 1, 9.0, 0.5, 9.0)])
    found = await store.partition("a").metrics.range("turn_s", 100, 101)
    assert [(r.minute, r.count, r.total, r.minimum, r.maximum) for r in found] == [(100, 3, 12.0, 0.5, 9.0)]


async def test_statuses_tell_what_lies_open(store: Store) -> None:
    """Every bot's state with its open updates and sends; the fleet's own rows are no bot."""
    await converse(store, "a", 1)
    await store.partition("b").updates.receive([update(1), update(2)], 3, NOW_MS)
    await store.partition("b").record_turn(turn(1), NOW_MS)
    await store.partition("c").registrations.add("{}", NOW_MS)
    await store.partition("_fleet").state.save(NOW_MS, name="x")
    assert [(s.bot_id, s.inbox_open, s.outbox_open) for s in await store.statuses()] == [("a", 0, 0), ("b", 1, 1)]
    assert await store.bot_ids() == ["a", "b", "c"]
    assert (await store.partition("c").registrations.history())[0].version == 1


async def test_a_partition_needs_a_bot_id(store: Store) -> None:
    """What cannot be a bot_id names no partition; one bot has one partition object."""
    for wrong in ("", "A", "../x", "_other", "a" * 51):
        with pytest.raises(ValueError, match="no bot_id"):
            store.partition(wrong)
    with pytest.raises(ValueError, match="no bot_id"):
        await store.remove_partition("_fleet")
    assert store.partition("a") is store.partition("a")
