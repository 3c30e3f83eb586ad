"""Updates of every kind the Bot API has, in their real shape, and ways to spoil JSON."""

from __future__ import annotations

import copy
import random
from typing import Any, Final

from tests.hostile.texts import HOSTILE

PERSON: Final = {
    "id": 501,
    "is_bot": False,
    "first_name": "Anna",
    "last_name": "B",
    "username": "anna",
    "language_code": "de",
}
CHAT: Final = {"id": 501, "type": "private", "first_name": "Anna"}
GROUP: Final = {"id": -1001234567890, "type": "supergroup", "title": "Shop", "is_forum": True}
BASE: Final = {"message_id": 7, "date": 1_700_000_000, "chat": CHAT, "from": PERSON}
PHOTO: Final = {"file_id": "AgAD", "file_unique_id": "AQ", "width": 90, "height": 67, "file_size": 1253}
MEMBER: Final = {"user": PERSON, "status": "member"}

MESSAGES: Final[tuple[dict[str, Any], ...]] = (
    {"text": "hello"},
    {"text": "/start x", "entities": [{"type": "bot_command", "offset": 0, "length": 6}]},
    {"text": "in a topic", "chat": GROUP, "message_thread_id": 5, "is_topic_message": True},
    {"photo": [PHOTO], "caption": "a picture"},
    {"sticker": {**PHOTO, "type": "regular", "is_animated": False, "is_video": False, "emoji": "x"}},
    {"voice": {"file_id": "A", "file_unique_id": "B", "duration": 3}},
    {"document": {"file_id": "A", "file_unique_id": "B", "file_name": "../../x\x1b[2J.pdf"}},
    {"location": {"latitude": 52.5, "longitude": 13.4}},
    {"contact": {"phone_number": "+49", "first_name": "C"}},
    {"reply_to_message": {**BASE, "text": "before"}, "text": "after"},
    {"new_chat_members": [PERSON], "chat": GROUP},
    {"migrate_to_chat_id": -1009, "chat": {"id": -9, "type": "group", "title": "g"}},
    {"successful_payment": {"currency": "EUR", "total_amount": 1, "invoice_payload": "x"}},
    {"forward_origin": {"type": "hidden_user", "sender_user_name": "x", "date": 1}, "text": "forwarded"},
)
KINDS: Final[tuple[dict[str, Any], ...]] = (
    *({"message": {**BASE, **more}} for more in MESSAGES),
    {"edited_message": {**BASE, "edit_date": 1_700_000_001, "text": "hello!"}},
    {"channel_post": {"message_id": 1, "date": 1, "chat": {"id": -1002, "type": "channel", "title": "c"}, "text": "post"}},
    {"edited_channel_post": {"message_id": 1, "date": 1, "chat": {"id": -1002, "type": "channel", "title": "c"}, "text": "p"}},
    {"business_connection": {"id": "b", "user": PERSON, "user_chat_id": 501, "date": 1, "is_enabled": True}},
    {"business_message": {**BASE, "business_connection_id": "b", "text": "hello"}},
    {"deleted_business_messages": {"business_connection_id": "b", "chat": CHAT, "message_ids": [1, 2]}},
    {"message_reaction": {"chat": CHAT, "message_id": 7, "user": PERSON, "date": 1, "old_reaction": [], "new_reaction": []}},
    {"message_reaction_count": {"chat": GROUP, "message_id": 7, "date": 1, "reactions": []}},
    {"inline_query": {"id": "1", "from": PERSON, "query": "x", "offset": ""}},
    {"chosen_inline_result": {"result_id": "1", "from": PERSON, "query": "x"}},
    {"callback_query": {"id": "1", "from": PERSON, "message": {**BASE, "text": "x"}, "chat_instance": "1", "data": "d"}},
    {"shipping_query": {"id": "1", "from": PERSON, "invoice_payload": "x", "shipping_address": {}}},
    {"pre_checkout_query": {"id": "1", "from": PERSON, "currency": "EUR", "total_amount": 1, "invoice_payload": "x"}},
    {"purchased_paid_media": {"from": PERSON, "paid_media_payload": "x"}},
    {"poll": {"id": "1", "question": "?", "options": [], "total_voter_count": 0, "is_closed": False}},
    {"poll_answer": {"poll_id": "1", "user": PERSON, "option_ids": [0]}},
    {"my_chat_member": {"chat": CHAT, "from": PERSON, "date": 1, "old_chat_member": MEMBER, "new_chat_member": MEMBER}},
    {"chat_member": {"chat": GROUP, "from": PERSON, "date": 1, "old_chat_member": MEMBER, "new_chat_member": MEMBER}},
    {"chat_join_request": {"chat": GROUP, "from": PERSON, "user_chat_id": 501, "date": 1}},
    {"chat_boost": {"chat": GROUP, "boost": {"boost_id": "1", "add_date": 1, "expiration_date": 2, "source": {}}}},
    {"removed_chat_boost": {"chat": GROUP, "boost_id": "1", "remove_date": 1, "source": {}}},
    {"a_kind_of_the_future": {"chat": CHAT, "x": 1}},
)  # fmt: skip
ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1.5, 2**63, -(2**63) - 1, 2**53, 10**40, 1e308, "", "1", [], {}, [[]], {"id": {}}, [None], "x" * 9000,
    *HOSTILE.values(),
)  # fmt: skip


def spoiled(chance: random.Random, value: dict[str, Any], most: int = 3) -> dict[str, Any]:
    """Return JSON with one to `most` things in it replaced, taken out, added or exchanged."""
    made = copy.deepcopy(value)
    for _ in range(chance.randint(1, most)):
        holder = chance.choice(list(_holders(made)))
        key: Any = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if chance.random() < 0.25:
            del holder[key]
        elif isinstance(holder, dict) and chance.random() < 0.2:
            name = chance.choice(("text", "id", "chat", "from", "date", "message", "x", "\ud800", "caption"))
            holder[name] = copy.deepcopy(chance.choice(ODD))
        else:
            holder[key] = copy.deepcopy(chance.choice(ODD))
        if not made:
            return made
    return made


def _holders(value: Any) -> Any:
    if isinstance(value, dict | list) and value:
        yield value
        for inner in list(value.values() if isinstance(value, dict) else value):
            yield from _holders(inner)
