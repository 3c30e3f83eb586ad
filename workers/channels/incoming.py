"""Raw updates understood: which lane they belong to and whether they ask for an answer. No type in them is trusted."""

from __future__ import annotations

from typing import Any, Final

from workers.channels.base import Incoming, Lane
from workers.errors import UpdatePoisoned

NO_LANE: Final = Lane(0)
LARGEST_ID: Final = 2**63 - 1
"""Ids are 64-bit at Telegram (52 used) and in SQLite; JSON allows larger ones, which no store could take."""

_MESSAGES: Final = ("message", "edited_message", "channel_post", "business_message")
_ABOUT_A_CHAT: Final = ("my_chat_member", "chat_member", "chat_join_request", "message_reaction")


def is_id(value: object) -> bool:
    """Tell whether a value may be an id: an integer of 64 bits, no bool."""
    return type(value) is int and -LARGEST_ID <= value <= LARGEST_ID


def valid_updates(result: list[Any]) -> list[dict[str, Any]]:
    """Return the entries of a batch that can be journaled at all: objects with an update_id."""
    return [entry for entry in result if isinstance(entry, dict) and is_id(entry.get("update_id"))]


def lane_of(update: dict[str, Any]) -> Lane:
    """Return the lane of a raw update; Lane(0) when it belongs to no chat. Never raises."""
    message = _message_of(update)
    chat = message.get("chat")
    chat_id = chat.get("id") if isinstance(chat, dict) else None
    if type(chat_id) is not int or not is_id(chat_id):
        return NO_LANE
    return Lane(chat_id, _topic_of(message))


def _message_of(update: dict[str, Any]) -> dict[str, Any]:
    for kind in _MESSAGES:
        if isinstance(message := update.get(kind), dict):
            return message
    if isinstance(query := update.get("callback_query"), dict) and isinstance(message := query.get("message"), dict):
        return message
    for kind in _ABOUT_A_CHAT:
        if isinstance(fact := update.get(kind), dict):
            return fact
    return {}


def _topic_of(message: dict[str, Any]) -> int:
    # Replies in ordinary supergroups carry a message_thread_id too; sending into that "topic" is refused.
    topic = message.get("message_thread_id")
    if message.get("is_topic_message") is True and type(topic) is int and is_id(topic):
        return topic
    return 0


def read(update: dict[str, Any]) -> Incoming | None:
    """Understand a raw update: a new message with text or caption asks for an answer, everything else gives None.

    Raises UpdatePoisoned for a message that breaks the Bot API's own rules.
    """
    if "message" not in update:
        return None
    message = update["message"]
    if not isinstance(message, dict):
        raise _poisoned(update, "message is no object")
    text = message.get("text", message.get("caption"))
    lane, sent_at = lane_of(update), message.get("date")
    if lane is NO_LANE:
        raise _poisoned(update, "message.chat.id is no id")
    if text is not None and not isinstance(text, str):
        raise _poisoned(update, "message.text is no text")
    if type(sent_at) is not int or not is_id(sent_at):
        raise _poisoned(update, "message.date is no time")
    if text is None or not text.strip():
        return None
    return _incoming(update, message, lane, clean(text), float(sent_at))


def _incoming(update: dict[str, Any], message: dict[str, Any], lane: Lane, text: str, sent_at: float) -> Incoming:
    update_id, sender = update.get("update_id"), message.get("from", {})
    if type(update_id) is not int or not is_id(update_id):
        raise _poisoned(update, "update_id is no id")
    if not isinstance(sender, dict) or ("id" in sender and not is_id(sender["id"])):
        raise _poisoned(update, "message.from is no user")
    return Incoming(
        update_id,
        lane,
        sender.get("id"),
        text,
        sent_at,
        " ".join(filter(None, (_word(sender, "first_name"), _word(sender, "last_name")))),
        _word(sender, "language_code"),
        _word(message["chat"], "type") or "private",
    )


def _word(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    return clean(value) if isinstance(value, str) else ""


def clean(text: str) -> str:
    """Return text that every encoder takes: lone surrogates (JSON can carry them) and NUL become U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    # A round trip through UTF-16 joins a high and a low surrogate that stand side by side, and marks the others.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _poisoned(update: dict[str, Any], what: str) -> UpdatePoisoned:
    return UpdatePoisoned(f"update {update.get('update_id')!r:.30} cannot be understood: {what}")
