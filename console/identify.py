"""Asking Telegram who a token belongs to, outside of a running fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio

from config.errors import FleetError
from config.schema import BotConfig
from workers.channels.base import Identity

if TYPE_CHECKING:
    from workers.http import Http

AT_ONCE: Final = 10
"""Requests at once: the server answers 429 to more than 20 new tokens a minute from one address."""
TIMEOUT_S: Final = 15


async def identify_all(
    configs: Mapping[str, BotConfig], clean: Callable[[str], str] | None = None
) -> dict[str, Identity | FleetError]:
    """Return bot_id → identity, or the error that says why there is none. Never raises a ChannelError.

    clean takes secrets out of what servers say, beside the bot's own token.
    """
    from workers.http import Http

    http = Http() if clean is None else Http(clean=clean)
    limiter = anyio.CapacityLimiter(AT_ONCE)
    answers: dict[str, Identity | FleetError] = {}

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


async def _identify(config: BotConfig, http: Http) -> Identity | FleetError:
    from workers.channels.telegram import TelegramChannel
    from workers.clock import SystemClock
    from workers.errors import ChannelUnreachable

    channel = TelegramChannel(config, http, SystemClock())
    try:
        with anyio.fail_after(TIMEOUT_S):
            return await channel.identify()
    except FleetError as error:
        return error
    except TimeoutError:
        host = urlsplit(config.telegram.base_url).hostname
        return ChannelUnreachable(f"Telegram cannot be reached: {host}: no answer within {TIMEOUT_S} s")
    finally:
        await channel.close()
