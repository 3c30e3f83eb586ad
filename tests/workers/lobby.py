"""One bot at the double of Telegram with its store and a model held in hand, for the tests of its reception."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.vocabulary import Secret
from console.sandbox.bots import SandboxBot, SentMessage
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from workers.channels import open_channel
from workers.channels.base import Identity, Incoming, Lane
from workers.channels.loopback import LoopbackChannel
from workers.clock import ManualClock
from workers.reception.reception import Reception

GROUP = -100500


class Lobby:
    """What people see of a bot, and what its model is asked."""

    def __init__(self, house: House, sandbox: Sandbox, bot: SandboxBot) -> None:
        self.house = house
        self.sandbox = sandbox
        self.bot = bot
        self.partition = house.partition
        self.clock = house.clock
        token = {"token": Secret(bot.token), "base_url": sandbox.base_url}
        house.services = replace(house.services, open_channel=open_channel)
        house.spec(channel="telegram", telegram=token)

    @property
    def asked(self) -> list[str]:
        """What the model was asked, in order."""
        return self.house.model.asked

    def sent(self, chat_id: int = 1) -> list[SentMessage]:
        """What a chat got."""
        return self.bot.sent_to(chat_id)

    def texts(self, chat_id: int = 1) -> list[str]:
        """The texts a chat got."""
        return [sent.text for sent in self.sent(chat_id)]

    async def hears(self, count: int, chat_id: int = 1) -> str:
        """Wait until a chat has got so many messages; return the last."""
        await eventually(lambda: len(self.sent(chat_id)) >= count)
        assert len(self.sent(chat_id)) == count
        return self.texts(chat_id)[-1]

    async def settled(self) -> None:
        """Wait until every update is finished and every send too."""
        await eventually(lambda: not self.bot.pending and self.all_done())

    def all_done(self) -> bool:
        house = self.house
        open_ = {"pending", "attempting"} & set(house.sends())
        return house.store.pending == 0 and None not in house.outcomes() and not open_

    async def say(self, chat_id: int, text: str, **how: Any) -> list[str]:
        """Write, wait until it is dealt with; return what the chat got for it."""
        before = len(self.sent(chat_id))
        self.bot.say(chat_id, text, **how)
        await eventually(lambda: self.bot.pending == 0)
        await self.settled()
        return self.texts(chat_id)[before:]

    async def press(self, chat_id: int, words: str, **how: Any) -> list[str]:
        """Press the button with these words, wait until it is dealt with; return what the chat got for it."""
        before, pressed = len(self.sent(chat_id)), self.bot.calls["answerCallbackQuery"]
        self.bot.press_words(chat_id, words, **how)
        await eventually(lambda: self.bot.pending == 0)
        await self.settled()
        await eventually(lambda: self.bot.calls["answerCallbackQuery"] == pressed + 1)
        return self.texts(chat_id)[before:]

    def buttons(self, chat_id: int = 1) -> list[tuple[str, str]]:
        """Words and data of the buttons under the last message of a chat."""
        markup = self.sent(chat_id)[-1].params.get("reply_markup") or {"inline_keyboard": []}
        return [(b["text"], b["callback_data"]) for row in markup["inline_keyboard"] for b in row]


@asynccontextmanager
async def open_lobby(tmp_path: Path) -> AsyncIterator[Lobby]:
    """Give a lobby with an empty store; nothing runs yet."""
    clock = ManualClock()
    async with bot_house(tmp_path, clock) as house, Sandbox(clock=clock) as sandbox:
        yield Lobby(house, sandbox, sandbox.add_bot(username="support_bot", name="Support"))


def made_anew(house: House, **sections: Any) -> tuple[Reception, LoopbackChannel]:
    """A reception as a process begins with: nothing in memory, everything in the store."""
    me = Identity(77, "support_bot", "Support")
    channel = LoopbackChannel(clock=house.clock, identity=me)
    return Reception(house.spec(**sections), channel, house.partition, house.services, me), channel


def incoming(text: str, **more: Any) -> Incoming:
    """A message in the private chat of person 1."""
    known = {"update_id": 5, "lane": Lane(1), "user_id": 1, "sent_at": 1.0, "user_name": "Anna", "message_id": 9}
    return Incoming(text=text, **(known | more))
