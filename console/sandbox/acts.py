"""What people do to a bot: they write, edit, press buttons, block it, take it into groups and throw it out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from console.sandbox.answers import dump
from console.sandbox.entities import utf16_length

if TYPE_CHECKING:
    from console.sandbox.bots import Chat, SandboxBot

_text = json.encoder.encode_basestring_ascii
_NAMED: Final = re.compile(r"(?<![\w/@])(?:@(?P<name>\w{3,32})|/(?P<command>\w{1,32}(?:@\w{3,32})?))(?!\w)")
"""What a server marks in a text: @names and commands."""

ANONYMOUS: Final = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}


def person(user_id: int, name: str, language: str, username: str = "") -> str:
    """Return a person as JSON."""
    known = f',"username":{_text(username)}' if username else ""
    return f'{{"id":{user_id},"is_bot":false,"first_name":{_text(name)}{known},"language_code":{_text(language)}}}'


def marked(text: str) -> str:
    """Return the entities of a text as a JSON member, "" for none: commands and names, in UTF-16 units."""
    if "@" not in text and "/" not in text:
        return ""
    found = [
        {
            "type": "mention" if mark["name"] else "bot_command",
            "offset": utf16_length(text[: mark.start()]),
            "length": len(mark[0]),
        }
        for mark in _NAMED.finditer(text)
    ]
    return f',"entities":{dump(found)}' if found else ""


def answered_to(bot: SandboxBot, chat: Chat, message_id: int) -> str:
    """Return the message somebody answers to as a JSON member, as far as it is kept."""
    line = next((line for line in reversed(bot.lines) if line.message_id == message_id), None)
    if line is None:
        return ""
    author = bot.shape if line.by_bot else person(abs(chat.id), line.name, "en")
    head = f'"message_id":{message_id},"from":{author},"chat":{chat.shape},"date":{int(line.at)}'
    return f',"reply_to_message":{{{head},"text":{_text(line.text)}}}'


def still_answered(bot: SandboxBot, chat: Chat, message_id: int) -> str:
    """Return what a person's message answered when it was written, as `answered_to`: an edit does not change that."""
    written = (line for line in reversed(bot.lines) if line.message_id == message_id and line.method == "message")
    line = next(written, None)
    return answered_to(bot, chat, line.reply_to) if line is not None and line.reply_to else ""


def pressed_message(bot: SandboxBot, chat: Chat, message_id: int) -> str:
    """Return the message a button hangs on as JSON; one that is gone is named only, its date is 0."""
    sent = next((sent for sent in reversed(bot.sent) if sent.message_id == message_id), None)
    if sent is None or message_id in bot.deleted:
        return f'{{"message_id":{message_id},"chat":{chat.shape},"date":0}}'
    members = f'"message_id":{message_id},"from":{bot.shape},"chat":{chat.shape},"date":{int(sent.at)}'
    topic = f',"message_thread_id":{sent.topic_id},"is_topic_message":true' if sent.topic_id else ""
    markup = _object(sent.params.get("reply_markup"))
    below = f',"reply_markup":{dump(markup)}' if markup else ""
    return f'{{{members}{topic},"text":{_text(sent.text)}{below}}}'


def button_of(bot: SandboxBot, chat_id: int, words: str) -> tuple[int, str]:
    """Return message and data of the newest button of a chat with these words on it. Raises ValueError for none."""
    for sent in reversed(bot.sent_to(chat_id)):
        rows = _object(sent.params.get("reply_markup")).get("inline_keyboard", [])
        for button in (button for row in rows for button in row):
            if button.get("text") == words:
                return sent.message_id, str(button["callback_data"])
    raise ValueError(f"no button says {words!r} in chat {chat_id}")


def membership(bot: SandboxBot, chat: Chat, who: str, before: str, now: str, at: float) -> str:
    """Return what a bot becomes in a chat, as the members of a my_chat_member update."""
    return (
        f'"chat":{chat.shape},"from":{who},"date":{int(at)},"old_chat_member":{_member(bot, before)},'
        f'"new_chat_member":{_member(bot, now)}'
    )


def _member(bot: SandboxBot, status: str) -> str:
    until = ',"until_date":0' if status == "kicked" else ""
    return f'{{"user":{bot.shape},"status":"{status}"{until}}}'


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = json.loads(value) if value else {}
    return value if isinstance(value, dict) else {}
