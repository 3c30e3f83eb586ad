"""Raw updates read without trusting any type in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.channels.base import Incoming, Lane
from workers.channels.incoming import clean, lane_of, read, valid_updates
from workers.errors import UpdatePoisoned

KEYS = st.sampled_from(
    [
        *("message", "edited_message", "callback_query", "my_chat_member", "update_id", "chat", "from", "id", "date"),
        *(
            "text",
            "caption",
            "message_thread_id",
            "is_topic_message",
            "first_name",
            "last_name",
            "language_code",
            "type",
        ),
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=5)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=25
)
UPDATES = st.dictionaries(KEYS, JSON, max_size=6)


def message(**changes: Any) -> dict[str, Any]:
    whole = {
        "message_id": 1,
        "date": 1_700_000_000,
        "chat": {"id": 5, "type": "private"},
        "from": {"id": 6},
        "text": "hi",
    }
    return {"update_id": 9, "message": {k: v for k, v in (whole | changes).items() if v is not ...}}


@given(UPDATES)
def test_whatever_comes_is_read_ignored_or_poison(update: dict[str, Any]) -> None:
    """No update of any shape raises anything but UpdatePoisoned, and what is read can be stored and sent on."""
    lane = lane_of(update)
    assert -(2**63) < lane.chat_id < 2**63
    try:
        incoming = read(update)
    except UpdatePoisoned:
        return
    if incoming is not None:
        assert incoming.lane == lane != Lane(0)
        assert incoming.text.strip()
        json.dumps(
            [incoming.text, incoming.user_name, incoming.language, incoming.chat_type], ensure_ascii=False
        ).encode()
        assert all(
            type(number) is int for number in (incoming.update_id, incoming.user_id or 0, incoming.lane.topic_id)
        )


@given(st.lists(UPDATES | SCALARS | JSON, max_size=5))
def test_only_what_can_be_journaled_leaves_a_batch(batch: list[Any]) -> None:
    """Entries are objects with a 64-bit integer update_id."""
    for update in valid_updates(batch):
        assert type(update["update_id"]) is int
        assert abs(update["update_id"]) < 2**63


def test_ids_no_store_could_take_are_not_journaled() -> None:
    """A bool, a float, a text and what is beyond 64 bits are no ids."""
    batch = [{"update_id": value} for value in (True, 1.0, "1", None, 2**63, -(2**63), 10**30, 5)]
    assert valid_updates([*batch, {}, [], None]) == [{"update_id": 5}]


def test_a_message_is_understood_whole() -> None:
    """Text, person, chat, topic, time."""
    update = message(
        **{"from": {"id": 6, "first_name": "Ann", "last_name": "Bee", "language_code": "de"}},
        chat={"id": -100, "type": "supergroup"},
        message_thread_id=3,
        is_topic_message=True,
    )
    assert read(update) == Incoming(9, Lane(-100, 3), 6, "hi", 1_700_000_000.0, "Ann Bee", "de", "supergroup")


def test_a_caption_asks_as_a_text_does() -> None:
    """A photo with words is answered."""
    incoming = read(message(text=..., caption="what is this?", photo=[]))
    assert incoming is not None
    assert incoming.text == "what is this?"


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1},
        {"update_id": 1, "edited_message": message()["message"]},
        {"update_id": 1, "callback_query": {"id": "1"}},
        {"update_id": 1, "something_new": {"text": "hi"}},
        message(text=...),
        message(text=" \n"),
        message(text=..., sticker={}),
    ],
)
def test_other_kinds_ask_for_no_answer(update: dict[str, Any]) -> None:
    """They are finished without a turn."""
    assert read(update) is None


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1, "message": None},
        {"update_id": 1, "message": []},
        message(chat=...),
        message(chat={"id": "5"}),
        message(chat={"id": True}),
        message(chat={"id": 2**63}),
        message(text=5),
        message(text={"a": 1}),
        message(date=...),
        message(date="now"),
        message(**{"from": 5}),
        message(**{"from": {"id": "x"}}),
        {"message": message()["message"]},
    ],
)
def test_what_breaks_the_servers_own_rules_is_poison(update: dict[str, Any]) -> None:
    """It is reported and kept, never guessed at."""
    with pytest.raises(UpdatePoisoned):
        read(update)


def test_a_reply_thread_is_no_topic() -> None:
    """Ordinary supergroups number reply threads too; the server refuses sends into them."""
    assert lane_of(message(message_thread_id=3)) == Lane(5)
    assert lane_of(message(message_thread_id="3", is_topic_message=True)) == Lane(5)


def test_lanes_of_other_kinds() -> None:
    """A button press and a membership change belong to their chat."""
    inner = message()["message"]
    assert lane_of({"update_id": 1, "callback_query": {"message": inner}}) == Lane(5)
    assert lane_of({"update_id": 1, "my_chat_member": {"chat": {"id": 8}}}) == Lane(8)
    assert lane_of({"update_id": 1, "poll": {}}) == Lane(0)


@given(st.text(st.characters(exclude_categories=())))
def test_clean_text_can_be_encoded_and_good_text_is_untouched(text: str) -> None:
    """Lone surrogates and NUL are marked; everything else stays."""
    cleaned = clean(text)
    cleaned.encode()
    assert "\0" not in cleaned
    if "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text):
        assert cleaned == text
