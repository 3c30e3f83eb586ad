"""What every channel promises. Implementations: `telegram`, `loopback` (tests, embedding, `channel = "none"`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from config.schema import BotConfig


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
class Incoming:
    """One message a bot is to answer."""

    update_id: int
    lane: Lane
    user_id: int | None
    text: str
    sent_at: float
    user_name: str = ""
    language: str = ""
    chat_type: str = "private"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One part of an answer, as it goes over the wire: a method of the channel and its JSON parameters."""

    chat_id: int
    method: str
    params: dict[str, Any]


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
        dict with an integer update_id is dropped with a warning.
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
        """Understand a raw update; None when it asks for no answer. Raises UpdatePoisoned."""
        ...

    def render(self, lane: Lane, text: str) -> list[Outgoing]:
        """Turn an answer into the parts to be sent, each within the channel's limits. At least one part."""
        ...

    async def send(self, outgoing: Outgoing) -> int | None:
        """Send one part, return its message id. Waits for the chat's and the bot's own deadline first.

        Raises RateLimited (deadline already noted), SendUncertain, SendRefused, ChannelUnreachable,
        TokenRejected.
        """
        ...

    def show_typing(self, lane: Lane) -> None:
        """Show that an answer is being made; at once, in the background, failures are ignored."""
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
