"""The Bot API double on loopback HTTP: what `https://api.telegram.org` is to a bot, with every fault at hand.

One handler takes every request: `/bot<token>/<method>` and `/file/bot<token>/<path>` as the Bot API, `/v1/…` as a
model (`model.py`), everything else as the page and the switches for people and other processes (`desk.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import mimetypes
import re
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from console.sandbox.answers import Refused, Reply, flooded, refused
from console.sandbox.bots import Line, SandboxBot
from console.sandbox.desk import Desk
from console.sandbox.faults import Faults
from console.sandbox.limits import FirstUses, SendLimits
from console.sandbox.methods import NAMES, call
from console.sandbox.model import Model
from console.sandbox.parameters import chat_of, read_params
from console.sandbox.rules import KEEP_SENT, Rules, pacing_of
from console.sandbox.strike import strike
from workers.clock import Clock, SystemClock

FIRST_BOT_ID: Final = 100_001
MAX_UPLOAD_BYTES: Final = 50 * 1024 * 1024
STOP_TIMEOUT_S: Final = 0.05
_TOKEN: Final = re.compile(r"(\d{1,15}):[\w-]+")


class Sandbox:
    """The double. `async with Sandbox() as sandbox: bot = sandbox.add_bot(); bot.say(1, "hello")`.

    port 0 takes any free one and keeps it over stop and start; the bots, their updates and faults live as long as the
    object. Times come from clock, so that with a ManualClock a long poll ends when the test says so.

    accept_any_token makes a bot on first use of its token (else 401); known_chats_only answers "chat not found" for
    chats that never wrote; enforce_limits answers 429 beyond send_limits; pace_repeats answers a repeated offset with
    limit 1; limit_first_use answers 429 beyond 20 new bots a minute; keep_sent bounds what is kept per bot; rich_messages:
    sendRichMessage exists.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        clock: Clock | None = None,
        accept_any_token: bool = False,
        known_chats_only: bool = False,
        enforce_limits: bool = False,
        send_limits: SendLimits | None = None,
        pace_repeats: bool = False,
        limit_first_use: bool = False,
        keep_sent: int = KEEP_SENT,
        rich_messages: bool = False,
    ) -> None:
        if host not in {"127.0.0.1", "::1", "localhost"}:
            raise ValueError(f"the sandbox listens on loopback only, not on {host}")
        self.clock: Clock = clock or SystemClock()
        self.host = host
        self.port = port
        self.rules = Rules(
            accept_any_token=accept_any_token,
            known_chats_only=known_chats_only,
            pace_repeats=pace_repeats,
            limit_first_use=limit_first_use,
            keep_sent=keep_sent,
            rich_messages=rich_messages,
            pacing=pacing_of(send_limits or SendLimits()) if enforce_limits else None,
        )
        self.bots: dict[int, SandboxBot] = {}
        self.faults = Faults()
        self.model = Model(self.clock)
        self.listeners: list[Callable[[SandboxBot, Line], None]] = []
        self._by_token: dict[str, SandboxBot] = {}
        self._first_uses = FirstUses()
        self._desk = Desk(self)
        self._runner: web.ServerRunner | None = None
        self._hosts: frozenset[str] = frozenset()
        self._ids = itertools.count(FIRST_BOT_ID)
        self._renewals = itertools.count(1)

    # life

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        server = web.Server(self._handle, request_factory=_make_request, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=STOP_TIMEOUT_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port, backlog=4096, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]
        self._hosts = frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    async def stop(self) -> None:
        """Stop listening and cut every connection, as a server that goes away; idempotent. `start` may follow."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Root of everything; `url + "/"` is the page for people."""
        return f"http://{'[::1]' if self.host == '::1' else self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What `[telegram] base_url` must say."""
        return f"{self.url}/bot"

    @property
    def base_file_url(self) -> str:
        """What `[telegram] base_file_url` must say."""
        return f"{self.url}/file/bot"

    @property
    def model_url(self) -> str:
        """What `[llm] base_url` must say to reach the model double."""
        return f"{self.url}/v1"

    # bots

    def add_bot(self, token: str | None = None, *, username: str | None = None, name: str | None = None) -> SandboxBot:
        """Register a bot. Raises ValueError for a token that is none or whose bot id is taken."""
        if token is None:
            bot_id = next(number for number in self._ids if number not in self.bots)
            token = f"{bot_id}:{_token_secret(bot_id, 0)}"
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise ValueError("a token is digits, a colon and letters; got something else")
        bot_id = int(found[1])
        if bot_id in self.bots:
            raise ValueError(f"bot {bot_id} exists already")
        username = username or f"bot{bot_id}_bot"
        bot = SandboxBot(bot_id, token, username, name or username, self.clock, self.rules.keep_sent)
        bot.listeners = self.listeners
        self.bots[bot_id] = self._by_token[token] = bot
        return bot

    def renew_token(self, bot: SandboxBot) -> str:
        """Give a bot another token, as /revoke does; the old one is unauthorized from now on."""
        del self._by_token[bot.token]
        bot.token = f"{bot.id}:{_token_secret(bot.id, next(self._renewals))}"
        self._by_token[bot.token] = bot
        return bot.token

    def find_bot(self, name: str) -> SandboxBot | None:
        """Return a bot by id, username or token."""
        if name.isdecimal():
            return self.bots.get(int(name))
        return self._by_token.get(name) or next((bot for bot in self.bots.values() if bot.username == name), None)

    # requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        # a page elsewhere that has its name point at 127.0.0.1 sends its own name here
        if request.headers.get("Host") not in self._hosts:
            return respond(Reply(403, b"the sandbox answers to loopback names only", "text/plain"))
        path, _, query = request.raw_path.partition("?")
        if path.startswith("/bot"):
            return respond(await self._api(request, path, query))
        if path.startswith("/file/bot"):
            return respond(await self._file(request, path))
        if path.startswith("/v1/"):
            return await self.model.handle(request, path)
        return await self._desk.handle(request, path)

    async def _api(self, request: web.BaseRequest, path: str, query: str) -> Reply | None:
        token, _, name = path[4:].partition("/")
        try:
            bot = self._by_token.get(token) or self._stranger(unquote(token))
            self._pace_first_use(bot)
            params = await read_params(request, query)
        except Refused as refusal:
            return refused(refusal)
        name = NAMES.get(name.lower(), name)
        bot.calls[name] += 1
        method = name.lower()
        chat_id = chat_of(params)
        fault = bot.faults.take(method, chat_id) or self.faults.take(method, chat_id)
        if fault is None:
            return await call(bot, name, params, self.rules)
        return await strike(fault, request, method, lambda: call(bot, name, params, self.rules), self.clock, refused)

    def _pace_first_use(self, bot: SandboxBot) -> None:
        if self.rules.limit_first_use:
            wait_s = self._first_uses.ask(bot.id, self.clock.monotonic())
            if wait_s:
                raise flooded(wait_s)

    def _stranger(self, token: str) -> SandboxBot:
        """Return the bot of a token not seen in this spelling. Raises Refused."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise Refused(401, "Unauthorized: invalid token specified")
        bot = self._by_token.get(token)
        if bot is not None:
            return bot
        bot_id = int(found[1])
        if not self.rules.accept_any_token or bot_id in self.bots:
            raise Refused(401, "Unauthorized")
        return self.add_bot(token)

    async def _file(self, request: web.BaseRequest, path: str) -> Reply | None:
        token, _, name = unquote(path[len("/file/bot") :]).partition("/")
        bot = self._by_token.get(token)

        async def work() -> Reply:
            return _stored(bot, name)

        fault = bot.faults.take("file") if bot else None
        return await work() if fault is None else await strike(fault, request, "file", work, self.clock, refused)


def _stored(bot: SandboxBot | None, name: str) -> Reply:
    stored = bot.files.get(name.removeprefix("documents/")) if bot else None
    if stored is None:
        return refused(Refused(404, "Not Found"))
    kind = mimetypes.guess_type(stored.name)[0] or "application/octet-stream"
    return Reply(200, stored.data, kind)


def respond(reply: Reply | None) -> web.StreamResponse:
    """Put a reply on the wire; None = the connection is gone already."""
    if reply is None:
        return web.Response(status=500)
    response = web.Response(status=reply.status, body=reply.body, content_type=reply.content_type)
    if reply.retry_after:
        response.headers["Retry-After"] = str(reply.retry_after)
    return response


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_UPLOAD_BYTES)


def _token_secret(bot_id: int, salt: int) -> str:
    return "AA" + hashlib.sha256(f"sandbox {bot_id} {salt}".encode()).hexdigest()[:33]
