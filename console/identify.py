"""Asking Telegram who a token belongs to, outside of a running fleet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import anyio

from config.errors import FleetError
from config.schema import BotConfig
from workers.channels.base import Identity

if TYPE_CHECKING:
    from workers.http import Http

AT_ONCE: Final = 10
"""Requests at once: the server answers 429 to more than 20 new tokens a minute from one address."""
TIMEOUT_S: Final = 15


async def identify_all(configs: Mapping[str, BotConfig]) -> dict[str, Identity | str]:
    """Return bot_id → identity, or a sentence that says why there is none. Never raises a ChannelError."""
    from workers.http import Http

    http = Http()
    limiter = anyio.CapacityLimiter(AT_ONCE)
    answers: dict[str, Identity | str] = {}

    async def ask(bot_id: str, config: BotConfig) -> None:
        async with limiter:
            answers[bot_id] = await _identify(config, http)

    try:
        async with anyio.create_task_group() as group:
            for bot_id, config in configs.items():
                group.start_soon(ask, bot_id, config)
    finally:
        await http.close()
    return answers


async def _identify(config: BotConfig, http: Http) -> Identity | str:
    from workers.channels.telegram import TelegramChannel
    from workers.clock import SystemClock

    channel = TelegramChannel(config, http, SystemClock())
    try:
        with anyio.fail_after(TIMEOUT_S):
            return await channel.identify()
    except FleetError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {TIMEOUT_S} s"
    finally:
        await channel.close()
