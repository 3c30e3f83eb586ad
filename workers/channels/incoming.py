"""Raw updates understood: which lane they belong to and whether they ask for an answer. No type in them is trusted."""

from __future__ import annotations

import re
from typing import Any, Final

from workers.channels.attachments import attachments_of
from workers.channels.base import Identity, Incoming, Lane
from workers.channels.entities import command_of, mentions, usable
from workers.errors import UpdatePoisoned

NO_LANE: Final = Lane(0)
LARGEST_ID: Final = 2**63 - 1
"""Ids are 64-bit at Telegram (52 used) and in SQLite; JSON allows larger ones, which no store could take."""

_MESSAGES: Final = ("message", "edited_message", "channel_post", "business_message")
_FIRST_ID: Final = re.compile(
    rb'\s*\{\s*"ok"\s*:\s*true\s*,\s*"result"\s*:\s*\[\s*\{\s*"update_id"\s*:\s*(-?\d{1,19})\s*,'
)
_ABOUT_A_CHAT: Final = ("my_chat_member", "chat_member", "chat_join_request", "message_reaction")


def is_id(value: object) -> bool:
    """Tell whether a value may be an id: an integer of 64 bits, no bool."""
    return type(value) is int and -LARGEST_ID <= value <= LARGEST_ID


def valid_updates(result: list[Any]) -> list[dict[str, Any]]:
    """Return the entries of a batch that can be journaled at all: objects with an update_id."""
    return [entry for entry in result if isinstance(entry, dict) and is_id(entry.get("update_id"))]


def stand_in(head: bytes) -> dict[str, Any] | None:
    """Return an update to be set aside in place of one too large to be read; None when its id is not to be seen.

    head: how an answer to a poll for a single update begins.
    """
    found = _FIRST_ID.match(head)
    if found is None or not is_id(int(found[1])):
        return None
    return {"update_id": int(found[1]), "message": f"too large to be read: {head.decode('utf-8', 'replace')}"}


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


def read(update: dict[str, Any], me: Identity | None = None) -> Incoming | None:
    """Understand a raw update; None when it concerns the bot in no way. me is what commands and mentions are held
    against.

    New and edited messages with a text, a caption or a file, buttons pressed, and what the bot becomes in a chat concern
    it; posts of channels and messages of other bots do not. Raises UpdatePoisoned for a message that breaks the Bot API's
    own rules.
    """
    if "message" in update:
        return _of_message(update, "message", me)
    if "edited_message" in update:
        return _of_message(update, "edited_message", me)
    if "callback_query" in update:
        return _of_button(update, update["callback_query"])
    if "my_chat_member" in update:
        return _of_membership(update, update["my_chat_member"])
    return None


def _of_message(update: dict[str, Any], kind: str, me: Identity | None) -> Incoming | None:
    message, text, lane, sent_at = _checked(update, kind)
    files = attachments_of(message) if "text" not in message else ()
    if not files and not text.strip():
        return _of_move(update, message, lane, sent_at)
    sender = _sender(update, message, kind)
    if _by_machine(message, sender):
        return None
    text = clean(text)
    more: dict[str, Any] = {}
    if kind == "edited_message":
        edited_at = message.get("edit_date")
        sent_at = edited_at if type(edited_at) is int and is_id(edited_at) else sent_at
        more["kind"] = "edited"
    if files:
        more |= {"attachments": files, "media_group_id": _word(message, "media_group_id")}
    if not _RICH.isdisjoint(message):
        more |= _references(message, text, me)
    return _made(update, message, sender, lane, text, float(sent_at), more)


def _checked(update: dict[str, Any], kind: str) -> tuple[dict[str, Any], str, Lane, int]:
    """Return a message, its text or caption, its lane and its time. Raises UpdatePoisoned."""
    message = update[kind]
    if not isinstance(message, dict):
        raise _poisoned(update, f"{kind} is no object")
    text = message.get("text")
    if text is None:
        text = message.get("caption")
    lane, sent_at = lane_of(update), message.get("date")
    if lane is NO_LANE:
        raise _poisoned(update, f"{kind}.chat.id is no id")
    if text is not None and not isinstance(text, str):
        raise _poisoned(update, f"{kind}.text is no text")
    if type(sent_at) is not int or not is_id(sent_at):
        raise _poisoned(update, f"{kind}.date is no time")
    return message, text or "", lane, sent_at


_RICH: Final = frozenset({"entities", "caption_entities", "reply_to_message", "quote", "external_reply"})
"""Members of a message that refer to something: most messages have none of them."""


def _sender(update: dict[str, Any], message: dict[str, Any], kind: str) -> dict[str, Any]:
    update_id, sender = update.get("update_id"), message.get("from", _NOBODY)
    if type(update_id) is not int or not is_id(update_id):
        raise _poisoned(update, "update_id is no id")
    if not isinstance(sender, dict) or ("id" in sender and not is_id(sender["id"])):
        raise _poisoned(update, f"{kind}.from is no user")
    return sender


_NOBODY: Final[dict[str, Any]] = {}


def _by_machine(message: dict[str, Any], sender: dict[str, Any]) -> bool:
    """Tell whether another bot, or a channel into its discussion group, wrote this.

    People who write anonymously, as a group or a channel, come under a bot of Telegram's own and the chat's name.
    """
    if sender.get("is_bot") is True and "sender_chat" not in message:
        return True
    return message.get("is_automatic_forward") is True


def _made(
    update: dict[str, Any],
    message: dict[str, Any],
    sender: dict[str, Any],
    lane: Lane,
    text: str,
    sent_at: float,
    more: dict[str, Any],
) -> Incoming:
    """Put together who did something, where and when, and more fields of Incoming; sender is a user that was checked."""
    chat, message_id, name = message["chat"], message.get("message_id"), _name(sender)
    if "sender_chat" in message and isinstance(anonymous := message["sender_chat"], dict):
        name = _word(anonymous, "title") or name
    return Incoming(
        update["update_id"],
        lane,
        sender.get("id"),
        text,
        sent_at,
        name,
        _word(sender, "language_code"),
        _word(chat, "type") or "private",
        message_id=message_id if type(message_id) is int and is_id(message_id) else 0,
        chat_title=_word(chat, "title"),
        user_username=_word(sender, "username"),
        **more,
    )


def _name(person: dict[str, Any]) -> str:
    first, last = _word(person, "first_name"), _word(person, "last_name")
    return f"{first} {last}" if first and last else first or last


def _references(message: dict[str, Any], text: str, me: Identity | None) -> dict[str, Any]:
    """Return what a message refers to, as fields of Incoming: a command, the bot, another message."""
    entities = usable(message.get("entities") or message.get("caption_entities"), text)
    found = _reply(message, me)
    if not entities:
        return found
    found["entities"] = entities
    if me is not None:
        found["mentioned"] = any(True for _ in mentions(text, entities, me))
    command = command_of(text, entities)
    if command is not None and me is not None and command.to not in {"", me.username.lower()}:
        found["elsewhere"] = True
    elif command is not None:
        found |= {"command": command.name, "args": command.args}
    return found


def _reply(message: dict[str, Any], me: Identity | None) -> dict[str, Any]:
    before, found = message.get("reply_to_message"), {}
    if (
        isinstance(before, dict) and "forum_topic_created" not in before
    ):  # every message of a topic "replies" to that one
        author = before.get("from")
        if isinstance(author, dict):
            found["reply_to_bot"] = me is not None and author.get("id") == me.id
            found["reply_to_name"] = _name(author)
        found["reply_to_text"] = _word(before, "text") or _word(before, "caption")
    quote = message.get("quote")
    if isinstance(quote, dict) and (quoted := _word(quote, "text")):
        found["reply_to_text"] = quoted
    return found


def _of_move(update: dict[str, Any], message: dict[str, Any], lane: Lane, sent_at: int) -> Incoming | None:
    """Read the message that tells that a group goes on under another number; None for any other without words."""
    there: dict[str, Any] = {
        "moved_to": message.get("migrate_to_chat_id"),
        "moved_from": message.get("migrate_from_chat_id"),
    }
    moved = {field: chat_id for field, chat_id in there.items() if is_id(chat_id) and chat_id not in {0, lane.chat_id}}
    if not moved or not is_id(update.get("update_id")):
        return None
    return _made(update, message, _NOBODY, lane, "", float(sent_at), {"kind": "membership", **moved})


def _of_button(update: dict[str, Any], query: object) -> Incoming | None:
    message = query.get("message") if isinstance(query, dict) else None
    lane = lane_of(update)
    if not isinstance(query, dict) or not isinstance(message, dict) or lane is NO_LANE:
        return None
    sender, callback_id = query.get("from"), _word(query, "id")
    if not isinstance(sender, dict) or not is_id(sender.get("id")) or not is_id(update.get("update_id")):
        return None
    data, at = _word(query, "data"), message.get("date")
    sent_at = float(at) if type(at) is int and is_id(at) else 0.0
    more = {"kind": "callback", "callback_id": callback_id, "callback_data": data}
    where = {name: value for name, value in message.items() if name != "sender_chat"}
    return _made(update, where, sender, lane, _words_on(message, data), sent_at, more)


def _words_on(message: dict[str, Any], data: str) -> str:
    """Return what stands on the button of a message that carries this data, "" when it is not to be seen any more."""
    markup = message.get("reply_markup")
    rows = markup.get("inline_keyboard") if isinstance(markup, dict) else None
    for row in rows if isinstance(rows, list) else ():
        for button in row if isinstance(row, list) else ():
            if isinstance(button, dict) and button.get("callback_data") == data:
                return _word(button, "text")
    return ""


def _of_membership(update: dict[str, Any], change: object) -> Incoming | None:
    lane = lane_of(update)
    if not isinstance(change, dict) or lane is NO_LANE or not is_id(update.get("update_id")):
        return None
    now, sender, at = change.get("new_chat_member"), change.get("from"), change.get("date")
    if not isinstance(now, dict) or not isinstance(sender, dict):
        return None
    member = _membership(now, _word(change["chat"], "type"))
    if not member:
        return None
    sent_at = float(at) if type(at) is int and is_id(at) else 0.0
    who = sender if is_id(sender.get("id")) else _NOBODY
    return _made(update, change, who, lane, "", sent_at, {"kind": "membership", "member": member})


def _membership(now: dict[str, Any], chat_type: str) -> str:
    """Return what the bot is in a chat: member, left, blocked; "" for a word not known."""
    status = _word(now, "status")
    if status in {"creator", "administrator", "member"} or (status == "restricted" and now.get("is_member") is True):
        return "member"
    if status == "kicked" and chat_type == "private":
        return "blocked"
    return "left" if status in {"left", "kicked", "restricted"} else ""


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
