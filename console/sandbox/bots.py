"""One bot as the server knows it: its updates, its chats, what it sent, and the people who write to it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from console.sandbox.acts import (
    ANONYMOUS,
    answered_to,
    button_of,
    marked,
    membership,
    person,
    pressed_message,
    still_answered,
)
from console.sandbox.answers import dump
from console.sandbox.faults import Faults
from console.sandbox.pulse import Pulse
from console.sandbox.updates import UpdateQueue
from workers.clock import Clock

FIRST_UPDATE_ID: Final = 100_000_001
DEFAULT_TYPES_OFF: Final = frozenset({"chat_member", "message_reaction", "message_reaction_count"})

_text = json.encoder.encode_basestring_ascii


@dataclass(slots=True)
class SentMessage:
    """One thing the server accepted from a bot. at is Unix seconds; text is the caption for media.

    reply_to is the message it answers, 0 for none.
    """

    method: str
    chat_id: int
    text: str
    message_id: int
    topic_id: int | None
    at: float
    params: dict[str, Any]
    reply_to: int = 0


class Line(NamedTuple):
    """One line of a conversation, by a person or by the bot. number grows without gaps within a bot.

    reply_to is the message a person answers with it, 0 for none.
    """

    number: int
    chat_id: int
    topic_id: int | None
    by_bot: bool
    name: str
    text: str
    message_id: int
    at: float
    method: str
    reply_to: int = 0


@dataclass(slots=True)
class Chat:
    """A chat the bot takes part in; `shape` is its JSON."""

    id: int
    type: str
    name: str
    shape: str
    wrote: bool = False
    blocked: bool = False
    moved_to: int = 0
    topics: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Webhook:
    """Where updates would be delivered; an empty url = long polling."""

    url: str = ""
    secret_token: str = ""
    max_connections: int = 40


@dataclass(slots=True)
class StoredFile:
    """A file at the server."""

    file_id: str
    name: str
    data: bytes


@dataclass(slots=True)
class Told:
    """What a bot told the server about itself."""

    commands: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    webhook: Webhook = field(default_factory=Webhook)
    allowed: frozenset[str] | None = None
    has_polled: bool = False
    logged_out: bool = False


class SandboxBot:
    """A bot at the double. Everything here is for tests and people; the Bot API methods live in `methods.py`."""

    def __init__(self, bot_id: int, token: str, username: str, name: str, clock: Clock, keep: int) -> None:
        self.id = bot_id
        self.token = token
        self.username = username
        self.name = name
        self.clock = clock
        self.keep = keep
        self.faults = Faults()
        self.updates = UpdateQueue(clock, FIRST_UPDATE_ID)
        self.chats: dict[int, Chat] = {}
        self.sent: list[SentMessage] = []
        self.sent_count = 0
        self.actions: list[tuple[int, str]] = []
        self.drafts: list[tuple[int, int, str]] = []
        self.lines: list[Line] = []
        self.line_count = 0
        self.calls: Counter[str] = Counter()
        self.files: dict[str, StoredFile] = {}
        self.told = Told()
        self.news = Pulse()
        self.listeners: list[Callable[[SandboxBot, Line], None]] = []
        self.next_message_id = 1
        self.deleted: set[int] = set()
        self.open_callbacks: set[str] = set()
        self.notes: list[str] = []
        """What was shown to people who pressed a button, "" where nothing was."""
        self.shape = dump(
            {"id": bot_id, "is_bot": True, "first_name": name, "username": username},
        )

    def __repr__(self) -> str:
        return f"SandboxBot(id={self.id}, username={self.username!r})"

    # what people do

    def say(
        self,
        chat_id: int,
        text: str = "",
        *,
        user_id: int | None = None,
        topic_id: int | None = None,
        chat_type: str = "private",
        date: float | None = None,
        name: str = "Anna",
        language: str = "en",
        title: str = "",
        username: str = "",
        reply_to: int = 0,
        more: dict[str, Any] | None = None,
    ) -> int:
        """Let a person write to the bot; return the update_id (0 when the bot asked not to be told of messages).

        chat_id below zero is a group (`title`), else the private chat with `name`. date is Unix seconds, None = now.
        more are further members of the message: {"photo": [...]} makes the text its caption.
        """
        chat = self.chat(chat_id, chat_type, title or name)
        chat.wrote = True
        if topic_id:
            chat.topics.add(topic_id)
        message_id = self.new_message_id()
        at = self.clock.now() if date is None else date
        who = person(user_id or abs(chat_id), name, language, username)
        message = _message(chat, message_id, who, at, topic_id)
        if reply_to:
            message += answered_to(self, chat, reply_to)
        self.note(Line(self.line_count + 1, chat_id, topic_id, False, name, text, message_id, at, "message", reply_to))
        return self._queue("message", message + _words(text, more))

    def edit(
        self,
        chat_id: int,
        message_id: int,
        text: str,
        *,
        name: str = "Anna",
        user_id: int | None = None,
        topic_id: int | None = None,
    ) -> int:
        """Let a person change what they wrote; return the update_id."""
        now = self.clock.now()
        who = person(user_id or abs(chat_id), name, "en")
        chat = self.chat(chat_id)
        message = _message(chat, message_id, who, now, topic_id) + still_answered(self, chat, message_id)
        self.note(Line(self.line_count + 1, chat_id, topic_id, False, name, text, message_id, now, "edited_message"))
        return self._queue("edited_message", f'{message},"edit_date":{int(now)}{_words(text, None)}')

    def press(
        self,
        chat_id: int,
        message_id: int,
        data: str,
        *,
        name: str = "Anna",
        user_id: int | None = None,
        language: str = "en",
    ) -> int:
        """Let a person press an inline button of a message; return the update_id."""
        callback_id = f"{self.id}{self.updates.next_id:012d}"
        self.open_callbacks.add(callback_id)
        message = pressed_message(self, self.chat(chat_id), message_id)
        who = person(user_id or abs(chat_id), name, language)
        return self._queue(
            "callback_query",
            f'"id":"{callback_id}","from":{who},"message":{message},"chat_instance":"{chat_id}","data":{_text(data)}',
        )

    def press_words(self, chat_id: int, words: str, *, user_id: int | None = None, language: str = "en") -> int:
        """Let a person press the newest button of a chat that says so. Raises ValueError when there is none."""
        return self.press(chat_id, *button_of(self, chat_id, words), user_id=user_id, language=language)

    def push(self, update: dict[str, Any]) -> int:
        """Queue any raw update, poison too; return the id under which it must be acknowledged.

        Without "update_id" it gets the next one. An integer one is kept (an old one = a repeated delivery), any other
        value goes out as it is. Raises ValueError for an id that goes back while updates wait.
        """
        given = update.get("update_id", self.updates.next_id)
        update_id = given if type(given) is int else self.updates.next_id
        self.updates.put(update_id, json.dumps({"update_id": given, **update}))
        return update_id

    def jump_ids(self, delta: int) -> None:
        """Go on counting update ids elsewhere, downwards too (then nothing may be pending: ValueError)."""
        self.updates.jump(delta)

    def block(self, chat_id: int, *, blocked: bool = True) -> int:
        """Let a person block the bot, or no more: sends to them are refused with 403. Return the update_id."""
        self.chat(chat_id).blocked = blocked
        return self._become(chat_id, chat_id, *(("member", "kicked") if blocked else ("kicked", "member")))

    def join(self, chat_id: int, title: str = "Group", *, user_id: int = 501) -> int:
        """Let somebody take the bot into a group; return the update_id."""
        self.chat(chat_id, "supergroup", title).blocked = False
        return self._become(chat_id, user_id, "left", "member")

    def leave(self, chat_id: int, *, user_id: int = 501) -> int:
        """Let somebody throw the bot out of a group: sends there are refused with 403. Return the update_id."""
        self.chat(chat_id).blocked = True
        return self._become(chat_id, user_id, "member", "kicked")

    def _become(self, chat_id: int, user_id: int, before: str, now: str) -> int:
        who = person(user_id, "Anna", "en")
        return self._queue("my_chat_member", membership(self, self.chat(chat_id), who, before, now, self.clock.now()))

    def migrate(self, chat_id: int, new_id: int) -> None:
        """Let a group go on under another number: both chats tell of it, sends to the old one are refused with 400."""
        old = self.chat(chat_id, "group")
        new = self.chat(new_id, "supergroup", old.name)
        new.wrote, old.moved_to = True, new_id
        at, who = self.clock.now(), dump(ANONYMOUS)
        for chat, member, other in ((old, "migrate_to_chat_id", new_id), (new, "migrate_from_chat_id", chat_id)):
            self._queue("message", f'{_message(chat, self.new_message_id(), who, at, None)},"{member}":{other}')

    def add_file(self, data: bytes, name: str = "file.bin") -> str:
        """Put a file on the server; return its file_id."""
        file_id = f"file-{self.id}-{len(self.files) + 1}"
        self.files[file_id] = StoredFile(file_id, name, data)
        return file_id

    # what a test asks

    @property
    def pending(self) -> int:
        """How many updates are not acknowledged yet."""
        return len(self.updates.waiting)

    @property
    def acknowledged(self) -> int:
        """How many updates have been acknowledged."""
        return self.updates.acknowledged

    @property
    def polled(self) -> bool:
        """Whether a long poll waits at this moment."""
        return self.updates.polled

    @property
    def conflicts(self) -> int:
        """How many polls were ended by another poll or a webhook."""
        return self.updates.conflicts

    async def listening(self) -> None:
        """Wait until the bot has polled for the first time."""
        await self.news.until(lambda: self.told.has_polled)

    def sent_to(self, chat_id: int) -> list[SentMessage]:
        """Return what was sent to one chat, oldest first, as far as it is kept."""
        return [message for message in self.sent if message.chat_id == chat_id]

    # what the methods need

    def chat(self, chat_id: int, kind: str = "private", name: str = "Anna") -> Chat:
        """Return a chat, making it on first use."""
        chat = self.chats.get(chat_id)
        if chat is None:
            kind = "supergroup" if chat_id < 0 and kind == "private" else kind
            chat = self.chats[chat_id] = Chat(chat_id, kind, name, _chat_shape(chat_id, kind, name))
        return chat

    def record(self, message: SentMessage) -> None:
        """Note an accepted send; the oldest are dropped beyond `keep`."""
        self.sent_count += 1
        if self.keep:
            self.sent.append(message)
            _trim(self.sent, self.keep)
        self.note(
            Line(
                self.line_count + 1,
                message.chat_id,
                message.topic_id,
                True,
                self.name,
                message.text,
                message.message_id,
                message.at,
                message.method,
            )
        )

    def note(self, line: Line) -> None:
        """Add a line to the conversation and tell who listens."""
        self.line_count += 1
        if not self.keep and not self.listeners:
            return
        if self.keep:
            self.lines.append(line)
            _trim(self.lines, self.keep)
        for listener in self.listeners:
            listener(self, line)
        self.news.beat()

    def new_message_id(self) -> int:
        """Return the next message id."""
        message_id = self.next_message_id
        self.next_message_id = message_id + 1
        return message_id

    def wants(self, kind: str) -> bool:
        """Tell whether updates of a kind are created for this bot (allowed_updates)."""
        allowed = self.told.allowed
        return kind not in DEFAULT_TYPES_OFF if allowed is None else kind in allowed

    def _queue(self, kind: str, members: str) -> int:
        return self.updates.add(f'"{kind}":{{{members}}}') if self.wants(kind) else 0


def _message(chat: Chat, message_id: int, who: str, at: float, topic_id: int | None) -> str:
    topic = f',"message_thread_id":{topic_id},"is_topic_message":true' if topic_id else ""
    return f'"message_id":{message_id},"from":{who},"chat":{chat.shape},"date":{int(at)}{topic}'


def _words(text: str, more: dict[str, Any] | None) -> str:
    """Return a text and its entities as JSON members; beside other members it is a caption, "" is none."""
    if not more:
        return f',"text":{_text(text)}{marked(text)}'
    further = "".join(f',"{name}":{json.dumps(value)}' for name, value in more.items())
    caption = f',"caption":{_text(text)}{marked(text).replace("entities", "caption_entities", 1)}' if text else ""
    return further + caption


def _chat_shape(chat_id: int, kind: str, name: str) -> str:
    called = "first_name" if kind == "private" else "title"
    return dump({"id": chat_id, "type": kind, called: name})


def _trim(kept: list[Any], keep: int) -> None:
    """Drop the oldest in bulk, so that keeping costs nothing per message."""
    if len(kept) > keep + keep // 4 + 16:
        del kept[:-keep]
