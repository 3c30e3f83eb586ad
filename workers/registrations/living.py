"""Bots that are there: the used ones held, the others for as long as somebody holds them.

Forgetting a bot never closes it. Whoever holds one, in mid-conversation or before the next question, goes on with it, and it
keeps up with its registration: asked for again, the same object comes back. Nothing is closed but what is to answer nobody.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

from config.snapshot import BotSpec
from workers.bot import Bot
from workers.services import Services


class Current:
    """The configuration of a bot at this moment, and until when it need not be looked at again (monotonic seconds)."""

    __slots__ = ("fresh_until", "spec", "version")

    def __init__(self, spec: BotSpec, version: int) -> None:
        self.spec = spec
        self.version = version
        self.fresh_until = 0.0

    def __call__(self) -> BotSpec:
        """Return the configuration."""
        return self.spec


class Living:
    """At most `most` bots held, the least recently used forgotten first. Belongs to one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, Bot] = OrderedDict()
        self._there: WeakValueDictionary[str, Bot] = WeakValueDictionary()

    def fresh(self, bot_id: str, now: float) -> Bot | None:
        """Return a held bot whose configuration need not be looked at, and count it as used; None otherwise."""
        bot = self._held.get(bot_id)
        if bot is None or now >= current(bot).fresh_until or bot.closed:
            return None
        self._held.move_to_end(bot_id)
        return bot

    def there(self, bot_id: str) -> Bot | None:
        """Return a bot that answers, held here or by anybody; None when there is none."""
        bot = self._there.get(bot_id)
        return bot if bot is not None and not bot.closed else None

    def keep(self, bot_id: str, spec: BotSpec, version: int, services: Services) -> Bot:
        """Return the bot of an id, from now on with this configuration, and hold it."""
        bot = self.there(bot_id)
        if bot is None:
            bot = self._there[bot_id] = Bot(bot_id, Current(spec, version), services)
        else:
            self.update(bot, spec, version)
        self.hold(bot)
        return bot

    def hold(self, bot: Bot) -> None:
        """Count a bot as used just now, and forget the least recently used beyond the limit."""
        self._held[bot.bot_id] = bot
        self._held.move_to_end(bot.bot_id)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    @staticmethod
    def update(bot: Bot, spec: BotSpec, version: int) -> None:
        """Let a bot use another configuration from its next question on, unless it has a newer one."""
        now = current(bot)
        if version >= now.version:
            now.version = version
            if spec.digest != now.spec.digest:
                now.spec = spec

    def shut(self, bot_id: str) -> Bot | None:
        """Let a bot answer nobody any more, whoever holds it; return it, None when there is none."""
        self._held.pop(bot_id, None)
        bot = self._there.pop(bot_id, None)
        if bot is not None:
            bot.shut()
        return bot

    def forget(self) -> None:
        """Hold nothing; what others hold goes on."""
        self._held.clear()

    def ids(self) -> list[str]:
        """Return the ids of the bots held, least recently used first."""
        return list(self._held)

    async def close(self) -> None:
        """Let every bot answer nobody any more; return when the questions they were asked are answered."""
        bots = [bot for bot_id in list(self._there) if (bot := self.shut(bot_id)) is not None]
        await asyncio.gather(*(bot.close() for bot in bots))


def current(bot: Bot) -> Current:
    """Return what a bot of a registry takes its configuration from."""
    found = bot.spec
    assert isinstance(found, Current), "Living made it"
    return found
