"""A Telegram channel on the sandbox double, for the tests of the channel."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from config.schema import BotConfig, TelegramSection
from config.vocabulary import Secret
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from workers.channels.base import Outgoing
from workers.channels.telegram import TelegramChannel
from workers.clock import Clock, ManualClock
from workers.http import Http

TOKEN = "100001:AAsecretsecretsecretsecretsecretsecre"


def telegram_config(token: str, base_url: str, **more: Any) -> BotConfig:
    """A bot file's [telegram] with a long poll of 30 s."""
    return BotConfig(telegram=TelegramSection(token=Secret(token), base_url=base_url, **{"poll_timeout_s": 30, **more}))


def text_to(chat_id: int, text: str = "hi") -> Outgoing:
    """One plain part."""
    return Outgoing(chat_id, "sendMessage", {"chat_id": chat_id, "text": text})


@asynccontextmanager
async def telegram_channel(clock: Clock | None = None) -> AsyncIterator[tuple[TelegramChannel, SandboxBot, Sandbox]]:
    """A channel, its bot at the double and the double, closed at the end."""
    http, clock = Http(), clock or ManualClock()
    async with Sandbox(clock=clock) as sandbox:
        bot = sandbox.add_bot(TOKEN)
        channel = TelegramChannel(telegram_config(TOKEN, sandbox.base_url), http, clock)
        yield channel, bot, sandbox
        await channel.close()
        await http.close()


@asynccontextmanager
async def canned_server(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A server that answers every request by a function, for what no Bot API does; gives its URL."""

    async def start(request: web.Request) -> web.StreamResponse:
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", start)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def canned_channel(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], clock: Clock | None = None
) -> AsyncIterator[TelegramChannel]:
    """A Telegram channel on a canned server."""
    http = Http()
    async with canned_server(answer) as url:
        yield TelegramChannel(telegram_config(TOKEN, f"{url}/bot"), http, clock or ManualClock())
        await http.close()


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it is chained to."""
    seen: list[BaseException] = [error]
    while seen:
        link = seen.pop()
        yield link
        seen.extend(other for other in (link.__cause__, link.__context__) if other is not None)


def assert_no_token(error: BaseException, token: str = TOKEN) -> None:
    """Fail when a token, or its secret part, shows in an error or anything chained to it."""
    secret = token.partition(":")[2]
    for link in chain_of(error):
        shown = f"{link} {link!r} {link.args!r} {getattr(link, '__notes__', '')}"
        assert secret not in shown, f"the token shows in {type(link).__name__}"
