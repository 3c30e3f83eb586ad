"""Facts about people, who may talk, and everything of a person gone when they ask for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from store.access import MAX_CODES
from store.database import Store
from store.profiles import MAX_FACTS, MAX_VALUE, FactRefused
from tests.store.filling import NOW_MS, converse, dump, fill, know, query, turn, update

pytestmark = pytest.mark.anyio


# --- facts -----------------------------------------------------------------------------------------------------


async def test_facts_are_kept_by_name(store: Store) -> None:
    """Set, replaced, deleted, told with who wrote them; another person, tenant or bot has none of them."""
    profiles = store.partition("a").profiles
    await profiles.set("acme", "42", "name", "Ann", "model", NOW_MS)
    await profiles.set("acme", "42", "city", "Bern", "model", NOW_MS)
    await profiles.set("acme", "42", " name\n", "Anna\tB.", "operator", NOW_MS + 1)
    assert await profiles.all("acme", "42") == {"city": "Bern", "name": "Anna B."}
    assert [(f.fact, f.by) for f in await profiles.facts("acme", "42")] == [("city", "model"), ("name", "operator")]
    assert await profiles.all("acme", "43") == await profiles.all("other", "42") == {}
    assert await store.partition("b").profiles.all("acme", "42") == {}
    assert (await profiles.delete("acme", "42", "city"), await profiles.delete("acme", "42", "city")) == (True, False)
    assert await profiles.all("acme", "42") == {"name": "Anna B."}


async def test_a_profile_is_bounded(store: Store) -> None:
    """64 facts of 500 characters; what is too much is refused, and what is there can still be changed."""
    profiles = store.partition("a").profiles
    for number in range(MAX_FACTS):
        await profiles.set("acme", "42", f"fact {number}", "x" * MAX_VALUE, "m", NOW_MS)
    for fact, value in (
        ("more", "x"),
        ("fact 1", "x" * (MAX_VALUE + 1)),
        ("", "x"),
        ("f" * 65, "x"),
        ("fact 1", " \n"),
    ):
        with pytest.raises(FactRefused):
            await profiles.set("acme", "42", fact, value, "m", NOW_MS)
    await profiles.set("acme", "42", "fact 1", "new", "m", NOW_MS)
    found = await profiles.all("acme", "42")
    assert (len(found), found["fact 1"]) == (MAX_FACTS, "new")


# --- who may talk ----------------------------------------------------------------------------------------------


async def test_a_code_lets_one_person_in_once(store: Store, path: Path) -> None:
    """Redeemed by two at once, it pairs one of them; unknown and expired ones nobody; the code itself is not stored."""
    access = store.partition("a").access
    await access.new_code("digest", NOW_MS + 1000, "operator", NOW_MS)
    await access.new_code("late", NOW_MS + 10, "operator", NOW_MS)
    assert await access.open_codes(NOW_MS) == 2
    assert await access.get(1) is None
    assert not await access.redeem("wrong", 1, "Ann", NOW_MS)
    assert not await access.redeem("late", 1, "Ann", NOW_MS + 10)
    assert not await store.partition("b").access.redeem("digest", 1, "Ann", NOW_MS)
    let_in = await asyncio.gather(*(access.redeem("digest", n, f"P{n}", NOW_MS + 20) for n in (1, 2)))
    assert sorted(let_in) == [False, True]
    (row,) = await access.all()
    assert await access.redeem("digest", row.user_id, "again", NOW_MS + 30)
    assert not await access.redeem("digest", 3 - row.user_id, "late", NOW_MS + 30)
    assert (row.state, row.name, row.by) == ("paired", f"P{row.user_id}", "operator")
    assert await access.get(row.user_id) == "paired"
    assert query(path, "SELECT count(*) FROM pairing_codes WHERE digest = 'digest'") == [(0,)]


async def test_a_code_does_not_let_in_who_is_blocked(store: Store) -> None:
    """The code stays for somebody else; removed from the list, the person may use it."""
    access = store.partition("a").access
    await access.set(1, "blocked", "Mallory", "operator", NOW_MS)
    await access.new_code("digest", NOW_MS + 1000, "operator", NOW_MS)
    assert not await access.redeem("digest", 1, "M", NOW_MS)
    assert (await access.get(1), await access.open_codes(NOW_MS)) == ("blocked", 1)
    assert await access.remove(1)
    assert not await access.remove(1)
    assert await access.redeem("digest", 1, "M", NOW_MS)
    assert await access.get(1) == "paired"
    with pytest.raises(ValueError, match="no-such"):
        await access.set(1, "no-such", "", "", NOW_MS)


async def test_codes_are_bounded_and_expired_ones_leave(store: Store, path: Path) -> None:
    """A hundred wait at most, the newest; a new one takes the expired ones along."""
    access = store.partition("a").access
    for number in range(MAX_CODES + 5):
        await access.new_code(f"d{number:03}", NOW_MS + 500, "o", NOW_MS + number)
    assert query(path, "SELECT count(*), min(digest) FROM pairing_codes") == [(MAX_CODES, "d005")]
    await access.new_code("new", NOW_MS + 9000, "o", NOW_MS + 1000)
    assert query(path, "SELECT digest FROM pairing_codes") == [("new",)]


# --- forgotten -------------------------------------------------------------------------------------------------


async def test_a_person_is_forgotten_and_nobody_else(store: Store, path: Path) -> None:
    """Private chat and topics, what they said in a group with its answer, profile, number in the ledger, chat, pairing."""
    mine = store.partition("a")
    for number, place, user in ((1, "42", "42"), (2, "42:9", "42"), (3, "-5", "42"), (4, "-5", "43"), (5, "43", "43")):
        await converse(store, "a", number, conversation_id=place, user_id=user)
    await know(store, "a", "42", user_id=42)
    await know(store, "a", "43", user_id=43)
    assert await mine.summaries.put("acme", "-5", (await mine.messages.tail("acme", "-5", 1))[0], "a group", NOW_MS)
    await converse(store, "a", 6, conversation_id="42", user_id="42", client_id="other")
    await fill(store, "b")
    others = dump(path, only="b")
    done = await mine.conversations.forget("acme", "42")
    assert (done.conversations, done.messages, done.facts, done.usage) == (2, 6, 1, 3)
    assert [m.content for m in await mine.messages.tail("acme", "-5", 9)] == ["q4", "a4"]
    assert await mine.messages.tail("acme", "42", 9) == await mine.messages.tail("acme", "42:9", 9) == []
    assert len(await mine.messages.tail("acme", "43", 9)) == 2
    assert len(await mine.messages.tail("other", "42", 9)) == 2
    assert (await mine.profiles.all("acme", "42"), await mine.profiles.all("acme", "43")) == ({}, {"name": "Ann"})
    assert (await mine.access.get(42), await mine.access.get(43)) == (None, "paired")
    assert [chat.chat_id for chat in await mine.chats.all()] == [43]
    assert await mine.summaries.get("acme", "42") is await mine.summaries.get("acme", "-5") is None
    assert await mine.summaries.get("acme", "43") is not None
    assert query(path, "SELECT conversation_id, user_id, input_tokens FROM usage WHERE update_id IN (1, 3) AND bot_id = 'a'") == [
        ("", "", 10), ("-5", "", 10)
    ]  # fmt: skip
    assert dump(path, only="b") == others
    assert await mine.conversations.forget("acme", "42") == type(done)()


async def test_who_is_blocked_stays_blocked_without_a_name(store: Store) -> None:
    """Forgetting must not open the door; what is kept is the number."""
    access = store.partition("a").access
    await access.set(42, "blocked", "Mallory", "operator", NOW_MS)
    await store.partition("a").conversations.forget("acme", "42")
    (row,) = await access.all()
    assert (row.user_id, row.state, row.name) == (42, "blocked", "")


async def test_what_was_set_aside_and_not_sent_goes_too(store: Store, path: Path) -> None:
    """The payload of a poison update and the text of a send that failed; what is still open stays to be answered."""
    mine = store.partition("a")
    await mine.updates.receive([update(n, "42") for n in (1, 2, 3)], 4, NOW_MS)
    await mine.updates.poison(1, "cannot be read", NOW_MS)
    (sent,) = await mine.record_turn(turn(2, "42", user_id="42"), NOW_MS)
    await mine.outbox.failed(sent, "refused", NOW_MS)
    await mine.conversations.forget("acme", "42")
    assert query(path, "SELECT update_id, lane, length(payload) > 0 FROM updates") == [
        (1, "", 0),
        (2, "", 0),
        (3, "42", 1),
    ]
    assert query(path, "SELECT lane, chat_id, params FROM outbox") == [("", 0, "")]


async def test_a_long_history_is_forgotten_in_small_pieces(store: Store, path: Path) -> None:
    """More messages and rows of usage than one job takes."""
    for _ in range(700):
        await store.partition("a").record_turn(turn(None, "42", user_id="42", sends=()), NOW_MS)
    done = await store.partition("a").conversations.forget("acme", "42")
    assert (done.messages, done.usage) == (1400, 700)
    assert query(path, "SELECT count(*) FROM messages") == [(0,)]
