"""Raw updates read without trusting any type in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.channels.base import Identity, Incoming, Lane
from workers.channels.entities import length, part, usable, without_mention
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
        assert incoming.text.strip() or incoming.attachments or incoming.kind in {"callback", "membership"}
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
    assert read(update) == Incoming(
        9, Lane(-100, 3), 6, "hi", 1_700_000_000.0, "Ann Bee", "de", "supergroup", message_id=1
    )


def test_a_caption_asks_as_a_text_does() -> None:
    """A photo with words is answered."""
    incoming = read(message(text=..., caption="what is this?", photo=[]))
    assert incoming is not None
    assert incoming.text == "what is this?"


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1},
        {"update_id": 1, "channel_post": message()["message"]},
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


# --- what a message refers to --------------------------------------------------------------------------------------

ME = Identity(77, "Support_bot", "Support")
SIGNS = st.text(st.sampled_from("a /@😀é\n𝄞"), max_size=12)


def entity(kind: str, offset: int, length: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": length, **more}


@pytest.mark.parametrize(
    ("text", "size", "command", "args", "elsewhere"),
    [
        ("/help", 5, "help", "", False),
        ("/Help@SUPPORT_bot  me now ", 17, "help", "me now", False),
        ("/help@other_bot me", 15, "", "", True),
        ("/say 😀 hi", 4, "say", "😀 hi", False),
    ],
)
def test_a_command_is_its_entity(text: str, size: int, command: str, args: str, elsewhere: bool) -> None:
    """Name in lower case, what follows, and whether it is for another bot."""
    incoming = read(message(text=text, entities=[entity("bot_command", 0, size)]), ME)
    assert incoming is not None
    assert (incoming.command, incoming.args, incoming.elsewhere) == (command, args, elsewhere)


def test_a_slash_alone_is_no_command() -> None:
    """Without the server's mark, or in the middle, it is text."""
    plain = read(message(text="/help"), ME)
    middle = read(message(text="see /help", entities=[entity("bot_command", 4, 5)]), ME)
    assert plain is not None
    assert middle is not None
    assert plain.command == middle.command == ""


@pytest.mark.parametrize(
    ("entities", "mentioned"),
    [
        ([entity("mention", 3, 12)], True),
        ([entity("mention", 2, 12)], False),
        ([entity("mention", 3, 200)], False),
        ([entity("text_mention", 0, 2, user={"id": 77})], True),
        ([entity("text_mention", 0, 2, user={"id": 78})], False),
        ([entity("bold", 3, 12)], False),
        ([None, 5, {"type": "mention"}, {"type": "mention", "offset": "3", "length": 12}], False),
        ("mention", False),
    ],
)
def test_mentions_are_found_in_utf16_units(entities: Any, mentioned: bool) -> None:
    """An emoji before the name counts as two; what is malformed counts as nothing."""
    incoming = read(message(text="😀 @support_BOT hi", entities=entities), ME)
    assert incoming is not None
    assert incoming.mentioned is mentioned


@given(SIGNS, SIGNS)
def test_parts_are_cut_where_the_server_counts(before: str, after: str) -> None:
    """Offsets in UTF-16 units find the same place whatever stands before."""
    assert part(f"{before}@me{after}", length(before), 3) == "@me"
    assert part(f"{before}{after}", length(before)) == after


@given(SIGNS, SIGNS)
def test_a_mention_around_a_sentence_is_taken_off(before: str, after: str) -> None:
    """At the beginning and at the end; in the middle it belongs to the sentence."""
    text = f"{before}@support_bot{after}"
    entities = usable([entity("mention", length(before), 12)], text)
    left = without_mention(text, entities, ME)
    assert left == left.strip()
    if before.strip() and after.strip():
        assert left == text.strip()
    elif before.strip():
        assert left == before.strip()


def test_a_reply_to_the_bot_and_a_quotation() -> None:
    """Who wrote what it answers to; a part that was quoted stands for the whole; a topic's beginning is no reply."""
    before = {"message_id": 3, "from": {"id": 77, "first_name": "Support"}, "text": "one two three"}
    whole = read(message(reply_to_message=before), ME)
    quoted = read(message(reply_to_message=before, quote={"text": "two", "position": 4}), ME)
    topic = read(message(reply_to_message={**before, "forum_topic_created": {"name": "x"}}), ME)
    assert whole is not None
    assert quoted is not None
    assert topic is not None
    assert (whole.reply_to_bot, whole.reply_to_text, whole.reply_to_name) == (True, "one two three", "Support")
    assert (quoted.reply_to_bot, quoted.reply_to_text) == (True, "two")
    assert (topic.reply_to_bot, topic.reply_to_text) == (False, "")


def test_files_are_described_not_fetched() -> None:
    """All sizes of a photo, a document without its double, what is malformed left out."""
    sizes = [{"file_id": f"p{n}", "file_unique_id": "u", "file_size": n, "width": n, "height": n} for n in (90, 800)]
    photo = read(message(text=..., photo=sizes, caption="look", media_group_id="g1"), ME)
    voice = read(message(text=..., voice={"file_id": "v", "duration": 3, "mime_type": "audio/ogg"}), ME)
    odd = read(message(text=..., document={"file_id": 5}, caption="look"), ME)
    assert photo is not None
    assert voice is not None
    assert odd is not None
    assert [(a.kind, a.file_id, a.size, a.width, a.mime) for a in photo.attachments] == [
        ("photo", "p90", 90, 90, "image/jpeg"),
        ("photo", "p800", 800, 800, "image/jpeg"),
    ]
    assert (photo.text, photo.media_group_id) == ("look", "g1")
    assert (voice.text, voice.attachments[0].duration_s) == ("", 3.0)
    assert odd.attachments == ()


def test_who_is_no_person_is_not_answered() -> None:
    """Other bots and a channel's posts in its discussion group; an anonymous admin is a person, under the group's name."""
    assert read(message(**{"from": {"id": 6, "is_bot": True}}), ME) is None
    assert read(message(is_automatic_forward=True, sender_chat={"id": -1, "title": "News"}), ME) is None
    anonymous = read(
        message(
            **{"from": {"id": 1087968824, "is_bot": True, "first_name": "Group"}},
            sender_chat={"id": -1, "title": "Shop"},
        ),
        ME,
    )
    assert anonymous is not None
    assert anonymous.user_name == "Shop"


def test_a_press_brings_the_words_on_its_button() -> None:
    """Found by what it carries, in the message it hangs on; one that is gone has none."""
    keyboard = {
        "inline_keyboard": [[{"text": "Yes", "callback_data": "say:0"}, {"text": "No", "callback_data": "say:1"}]]
    }
    hanging = {**message()["message"], "reply_markup": keyboard}

    def press(data: Any, on: Any = hanging) -> Incoming | None:
        query = {"id": "q", "from": {"id": 6, "first_name": "Ann"}, "message": on, "data": data}
        return read({"update_id": 9, "callback_query": query}, ME)

    no = press("say:1")
    assert no is not None
    assert (no.kind, no.text, no.callback_id, no.callback_data, no.user_id) == ("callback", "No", "q", "say:1", 6)
    gone = press("say:1", {"message_id": 1, "chat": {"id": 5, "type": "private"}, "date": 0})
    assert gone is not None
    assert gone.text == ""
    assert press("say:1", None) is None


@pytest.mark.parametrize(
    ("chat", "status", "member"),
    [
        ("private", "kicked", "blocked"),
        ("private", "member", "member"),
        ("supergroup", "administrator", "member"),
        ("supergroup", "kicked", "left"),
        ("group", "left", "left"),
        ("supergroup", "restricted", "left"),
    ],
)
def test_what_the_bot_becomes_in_a_chat(chat: str, status: str, member: str) -> None:
    """In the words of the store."""
    change = {"chat": {"id": -5, "type": chat}, "from": {"id": 6}, "date": 1, "new_chat_member": {"status": status}}
    incoming = read({"update_id": 9, "my_chat_member": change}, ME)
    assert incoming is not None
    assert (incoming.kind, incoming.member, incoming.user_id) == ("membership", member, 6)
    assert read({"update_id": 9, "my_chat_member": {**change, "new_chat_member": {"status": {}}}}, ME) is None


def test_a_group_that_moves() -> None:
    """Told by the old chat and by the new one."""
    old = read(message(text=..., migrate_to_chat_id=-1009, chat={"id": -9, "type": "group"}), ME)
    new = read(message(text=..., migrate_from_chat_id=-9, chat={"id": -1009, "type": "supergroup"}), ME)
    assert old is not None
    assert new is not None
    assert (old.kind, old.moved_to, new.kind, new.moved_from) == ("membership", -1009, "membership", -9)
    assert read(message(text=..., migrate_to_chat_id="x"), ME) is None
