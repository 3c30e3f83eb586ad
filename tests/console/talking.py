"""People who write to a bot of a double."""

from __future__ import annotations

from console.sandbox.server import Sandbox
from tests.waiting import eventually


async def talk(double: Sandbox, username: str, text: str, chat_id: int = 501) -> None:
    """Write to a bot and wait until it has answered."""
    bot = double.find_bot(username)
    assert bot is not None
    before = len(bot.sent)
    bot.say(chat_id, text)
    await eventually(lambda: len(bot.sent) > before)
