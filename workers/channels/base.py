"""What every channel promises. Implementations: `telegram`, `loopback` (tests, embedding, `channel = "none"`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

from config.schema import BotConfig, ReplySection


class Lane(NamedTuple):
    """The order-keeping queue of one chat and topic. Answers of one lane never overtake each other."""

    chat_id: int
    topic_id: int = 0

    @property
    def conversation_id(self) -> str:
        """The conversation this lane speaks in."""
        return f"{self.chat_id}:{self.topic_id}" if self.topic_id else str(self.chat_id)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the channel says we are."""

    id: int
    username: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message; its bytes are still at the server. kind is Telegram's word: photo, document,
    voice, audio, video, video_note, animation or sticker.

    A photo is one attachment for each of its sizes, smallest first, all of one message. size is bytes, width and height
    are pixels, duration_s seconds; 0 = not said.
    """

    kind: str
    file_id: str
    file_unique_id: str = ""
    size: int = 0
    mime: str = ""
    name: str = ""
    duration_s: float = 0.0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Incoming:
    """Something a person did that concerns the bot.

    kind: message; edited (a message changed); callback (a button pressed: text is what stands on it, callback_data what
    it carries, callback_id what is to be answered, message_id and sent_at are those of the message it hangs on);
    membership (`member` says what the bot is in this chat from now on: member, left or blocked; or a group moved:
    moved_to, moved_from are the other chat's id, 0 = it did not).

    text is the text or the caption, "" where there is none. command is the name of a command at its beginning, in lower
    case and without the slash, args what follows; elsewhere says that the command is for another bot. mentioned: the
    bot's @name occurs. reply_to_text: what the message answers to, or the part of it that was quoted.
    """

    update_id: int
    lane: Lane
    user_id: int | None
    text: str
    sent_at: float
    user_name: str = ""
    language: str = ""
    chat_type: str = "private"
    kind: str = "message"
    message_id: int = 0
    chat_title: str = ""
    user_username: str = ""
    entities: tuple[dict[str, Any], ...] = ()
    mentioned: bool = False
    reply_to_bot: bool = False
    reply_to_text: str = ""
    reply_to_name: str = ""
    command: str = ""
    args: str = ""
    elsewhere: bool = False
    attachments: tuple[Attachment, ...] = ()
    media_group_id: str = ""
    callback_id: str = ""
    callback_data: str = ""
    member: str = ""
    moved_from: int = 0
    moved_to: int = 0

    def with_text(self, text: str) -> Incoming:
        """Return the same with another text."""
        return replace(self, text=text)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One part of an answer, as it goes over the wire: a method of the channel and its JSON parameters."""

    chat_id: int
    method: str
    params: dict[str, Any]

    @property
    def repeatable(self) -> bool:
        """Whether doing it twice is seen once: then there is no doubt to be counted."""
        return self.method in _REPEATABLE


EDIT: Final = "editMessageText"
DELETE: Final = "deleteMessage"
_REPEATABLE: Final = frozenset({EDIT, DELETE})


class Frame(NamedTuple):
    """An answer as far as it is made. draft_id: shown as a draft (of that id, not 0); else as a message, to be edited once
    message_id is known. reply_to is the message a new one replies to, 0 = none.
    """

    lane: Lane
    text: str
    draft_id: int = 0
    message_id: int = 0
    reply_to: int = 0


class Channel(Protocol):
    """One bot's way to its people. All errors are ChannelErrors; cancelling any call is safe.

    A channel holds no durable state: offsets, updates and sends live in the store.
    """

    async def identify(self) -> Identity:
        """Ask the server who we are. Raises TokenRejected, ChannelUnreachable, RateLimited."""
        ...

    async def poll(self, offset: int | None, *, brief: bool = False) -> list[dict[str, Any]]:
        """Wait for raw updates, at most the long-poll time; when brief not at all, and for one at most. Passing an
        offset forgets everything below it.

        Raises TokenRejected (confirmed), TokenInUse, RateLimited, ChannelUnreachable. An entry that is not a
        dict with an integer update_id is dropped with a warning; UpdatesUnusable when there is no other.
        """
        ...

    async def forget_pending(self) -> int | None:
        """Forget what waits at the server, so that the next poll gives only what comes from now on.

        Returns the offset to poll with next, None when nothing waited. Raises like `poll`. For the first start of a
        bot with `drop_pending_updates`; calling it again is harmless.
        """
        ...

    def lane_of(self, update: dict[str, Any]) -> Lane:
        """Return the lane of a raw update; Lane(0) when it belongs to no chat. Never raises."""
        ...

    def read(self, update: dict[str, Any]) -> Incoming | None:
        """Understand a raw update; None when it does not concern the bot. Raises UpdatePoisoned."""
        ...

    def render(
        self, lane: Lane, text: str, reply: ReplySection | None = None, buttons: Sequence[tuple[str, str]] = ()
    ) -> list[Outgoing]:
        """Turn an answer into the parts to be sent, each within the channel's limits. At least one part.

        text is Markdown and formatted as reply wants it; without reply it is sent as it is. buttons are (label, data),
        one a row, below the last part.
        """
        ...

    async def send(self, outgoing: Outgoing) -> int | None:
        """Send one part, return its message id. Waits for the chat's and the bot's own deadline first.

        Raises RateLimited (deadline already noted), SendUncertain, SendRefused, ChannelUnreachable,
        TokenRejected.
        """
        ...

    async def show(self, frame: Frame) -> int | None:
        """Show an answer that is not whole yet; return the id of the message it is seen in, None for a draft.

        Never waits for a deadline: raises RateLimited then. Raises like `send` otherwise, within a few seconds;
        SendRefused for a draft where there are none.
        """
        ...

    async def download(self, file_id: str, limit_bytes: int) -> bytes:
        """Fetch a file that came with a message.

        Raises RateLimited, TokenRejected, ChannelUnreachable; SendRefused for one that is larger, or is gone.
        """
        ...

    def refused_formats(self) -> int:
        """Return how many parts the server took only without their formatting since this was last asked."""
        ...

    def show_typing(self, lane: Lane) -> None:
        """Show that an answer is being made; at once, in the background, failures are ignored."""
        ...

    def answer_press(self, callback_id: str, note: str = "") -> None:
        """Let a pressed button stop waiting, with a note of at most 200 characters; at once, in the background, failures
        are ignored.
        """
        ...

    async def publish_commands(self, commands: Sequence[tuple[str, str]], language: str = "") -> None:
        """Tell the server of the bot's commands, (name, what it does) each, in a language; "" for all others. None of
        them: the list of that language is deleted.

        Raises RateLimited, SendUncertain, SendRefused, ChannelUnreachable, TokenRejected. Doing it again is harmless.
        """
        ...

    def throttled_s(self) -> float:
        """Return for how long the server has asked this bot as a whole for patience, in seconds; 0 = not at all."""
        ...

    def apply(self, config: BotConfig) -> None:
        """Take over keys whose effect is in place."""
        ...

    async def close(self) -> None:
        """Let go of everything held for this bot."""
        ...
