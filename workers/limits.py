"""Patience a server asked for: deadlines per chat and per bot, which nothing frees early."""

from __future__ import annotations

from typing import Final

from workers.clock import Clock

MAX_CHATS: Final = 256
"""Chats remembered as blocked per bot; beyond it the bot as a whole waits, which is longer, never shorter."""


class Deadlines:
    """Until when one bot must not send, to a chat or at all, and until when it must not poll.

    A 429 answers one chat's send, but the limit behind it may be the chat's or the bot's, and the server does not
    say which. So it first blocks its chat; when another chat gets one while the first is still blocked, it is the
    bot's. Deadlines only move away: a send that was in flight and succeeds frees nobody. Waiting is safe to cancel.
    """

    __slots__ = ("_bot", "_chats", "_clock", "_poll")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bot = 0.0
        self._poll = 0.0
        self._chats: dict[int, float] = {}

    def block_chat(self, chat_id: int, retry_after_s: float) -> None:
        """Note a 429 to a send."""
        now = self._clock.monotonic()
        self._chats = {chat: until for chat, until in self._chats.items() if until > now}
        until = now + retry_after_s
        if self._chats.keys() - {chat_id}:
            self._bot = max(self._bot, until)
        self._chats[chat_id] = max(self._chats.get(chat_id, 0.0), until)
        if len(self._chats) > MAX_CHATS:
            # Not freed early: by now the bot as a whole waits at least until the newest, so the soonest is covered.
            del self._chats[min(self._chats, key=self._chats.__getitem__)]

    def block_bot(self, retry_after_s: float) -> None:
        """Note a 429 to getMe or getUpdates: neither polls nor sends go on before its time."""
        until = self._clock.monotonic() + retry_after_s
        self._bot = max(self._bot, until)
        self._poll = max(self._poll, until)

    def chat_left_s(self, chat_id: int) -> float:
        """Return how long sends to a chat must wait, in seconds."""
        if not self._bot and not self._chats:
            return 0.0
        return max(0.0, max(self._bot, self._chats.get(chat_id, 0.0)) - self._clock.monotonic())

    def bot_left_s(self) -> float:
        """Return how long every send must wait, in seconds."""
        return max(0.0, self._bot - self._clock.monotonic()) if self._bot else 0.0

    def poll_left_s(self) -> float:
        """Return how long polls must wait, in seconds."""
        return max(0.0, self._poll - self._clock.monotonic()) if self._poll else 0.0

    async def wait_to_send(self, chat_id: int) -> None:
        """Wait until nothing blocks the chat; a deadline that moves away meanwhile is waited for too."""
        while (left_s := self.chat_left_s(chat_id)) > 0:
            await self._clock.sleep(left_s)

    async def wait_to_poll(self) -> None:
        """Wait until nothing blocks polls."""
        while (left_s := self.poll_left_s()) > 0:
            await self._clock.sleep(left_s)
