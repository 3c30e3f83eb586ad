"""What a bot tells the Bot API beside its messages: that it is typing, that a button was pressed, its commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from telegram.error import TelegramError

from workers.channels.aside import Aside
from workers.channels.base import Lane
from workers.channels.faults import as_refused
from workers.errors import ChannelError
from workers.limits import Deadlines

TYPING_TIMEOUT_S: Final = 5.0
PRESS_TIMEOUT_S: Final = 5.0
COMMANDS_TIMEOUT_S: Final = 20.0
LONGEST_NOTE: Final = 200
"""Characters the Bot API takes in the answer to a press."""

Ask = Callable[[str, dict[str, Any], float], Awaitable[Any]]
"""Calls a method with parameters, for so many seconds at most. Raises TelegramError."""


class Besides:
    """Calls in the background, and the list of commands. moved: the number a chat goes on under, by the one it had."""

    __slots__ = ("_ask", "_deadlines", "_fault", "_moved", "_presses", "_typing")

    def __init__(
        self,
        ask: Ask,
        fault: Callable[[TelegramError], ChannelError],
        deadlines: Deadlines,
        moved: Mapping[int, int],
    ) -> None:
        self._ask = ask
        self._fault = fault
        self._deadlines = deadlines
        self._moved = moved
        self._typing = Aside(self._send_typing, "typing")
        self._presses: Aside[tuple[str, str]] | None = None

    def show_typing(self, lane: Lane) -> None:
        """Show "typing…", unless the server asked for patience; at once, never raises."""
        self._typing.put(lane)

    async def _send_typing(self, lane: Lane) -> None:
        chat_id = self._moved.get(lane.chat_id, lane.chat_id)
        if self._deadlines.chat_left_s(chat_id):
            return
        topic = {"message_thread_id": lane.topic_id} if lane.topic_id else {}
        try:
            await self._ask("sendChatAction", {"chat_id": chat_id, "action": "typing", **topic}, TYPING_TIMEOUT_S)
        except TelegramError as error:
            refused = as_refused(error)
            if refused is not None and refused.code == 429:
                self._deadlines.block_chat(chat_id, refused.retry_after_s)

    def answer_press(self, callback_id: str, note: str) -> None:
        """Let a pressed button stop waiting; note is shown for a moment. At once, never raises."""
        if self._presses is None:
            self._presses = Aside(self._send_press, "presses")
        self._presses.put((callback_id, note))

    async def _send_press(self, press: tuple[str, str]) -> None:
        callback_id, note = press
        shown = {"text": note[:LONGEST_NOTE]} if note else {}
        try:
            await self._ask("answerCallbackQuery", {"callback_query_id": callback_id, **shown}, PRESS_TIMEOUT_S)
        except TelegramError:
            return  # too old, or the server is away: the button stops waiting by itself

    async def publish_commands(self, commands: Sequence[tuple[str, str]], language: str) -> None:
        """Tell the server of the commands in a language, "" for every other; none deletes the list. Raises ChannelErrors."""
        spoken: dict[str, Any] = {"language_code": language} if language else {}
        listed = [{"command": name, "description": about} for name, about in commands]
        failure: TelegramError
        try:
            if listed:
                await self._ask("setMyCommands", {"commands": listed, **spoken}, COMMANDS_TIMEOUT_S)
            else:
                await self._ask("deleteMyCommands", spoken, COMMANDS_TIMEOUT_S)
        except TelegramError as error:
            failure = error.with_traceback(None)  # whose frames hold this one, and it the error: a circle
        else:
            return
        raise self._fault(failure)

    async def close(self) -> None:
        """End what is under way in the background; may be used again."""
        await self._typing.close()
        if self._presses is not None:
            await self._presses.close()


class Courteous:
    """The part of a Channel that is beside the way of messages."""

    __slots__ = ("_besides",)

    def __init__(self, besides: Besides) -> None:
        self._besides = besides

    def show_typing(self, lane: Lane) -> None:
        """Show "typing…" for about five seconds, unless the server asked for patience; at once, never raises."""
        self._besides.show_typing(lane)

    def answer_press(self, callback_id: str, note: str = "") -> None:
        """Let a pressed button stop waiting; at once, in the background."""
        self._besides.answer_press(callback_id, note)

    async def publish_commands(self, commands: Sequence[tuple[str, str]], language: str = "") -> None:
        """Tell the server of the bot's commands; see Channel.publish_commands."""
        await self._besides.publish_commands(commands, language)
