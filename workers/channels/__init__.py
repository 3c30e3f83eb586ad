"""Where messages come from and answers go: one protocol, one file per channel, one line in the registry."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from workers.errors import BotInvalid

if TYPE_CHECKING:
    from config.schema import BotConfig
    from workers.channels.base import Channel
    from workers.clock import Clock
    from workers.http import Http

CHANNELS: Final = {
    "telegram": "workers.channels.telegram:TelegramChannel",
    "none": "workers.channels.loopback:LoopbackChannel",
}
"""Value of `channel` in a bot file -> module:class, made as Class(config, http, clock)."""


def open_channel(bot_id: str, config: BotConfig, http: Http, clock: Clock) -> Channel:
    """Make the channel a bot's file asks for; nothing is sent yet.

    The module is imported on use: Telegram's costs 200 ms which a fleet without Telegram need not pay. Raises
    BotInvalid when the configuration lacks what the channel needs.
    """
    place = CHANNELS.get(config.channel)
    if place is None:
        raise BotInvalid(f"bot {bot_id}: no channel {config.channel!r}", f"channels: {', '.join(CHANNELS)}")
    module, _, name = place.partition(":")
    channel: Channel = getattr(import_module(module), name)(config, http, clock)
    return channel
