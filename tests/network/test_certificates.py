"""A server with a wrong certificate is told in one clear sentence, is tried again, and gets neither token nor key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from config.schema import LlmSection
from config.vocabulary import Condition, Phase, Role, Secret
from console.sandbox.server import Sandbox
from tests.network.certificates import ELSEWHERE, EXPIRED, GOOD, serving, show, trusting
from tests.network.place import place
from tests.waiting import eventually
from tests.workers.telegram_rig import TOKEN, assert_no_token, canned_server, telegram_config, text_to
from workers.channels.telegram import TelegramChannel
from workers.clock import ManualClock
from workers.errors import ChannelUnreachable, ProviderUnavailable
from workers.http import Http
from workers.llm.base import CompletionRequest, Message
from workers.llm.openai import OpenAIProvider

pytestmark = pytest.mark.anyio

WRONG = [
    (ELSEWHERE, (ELSEWHERE,), "Hostname mismatch, certificate is not valid for 'localhost'"),
    (EXPIRED, (EXPIRED,), "certificate has expired"),
    (GOOD, (), "self"),
]
IDS = ["wrong host", "expired", "self-signed"]
KEY = "sk-secret-secret-secret"


@asynccontextmanager
async def shown(certificate: str, folder: Path, seen: list[str]) -> AsyncIterator[str]:
    """A server that notes every request that reaches it; gives its URL."""

    async def note(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response({})

    async with canned_server(note, serving(certificate, folder)) as url:
        yield url


@pytest.mark.parametrize(("certificate", "trusted", "said"), WRONG, ids=IDS)
async def test_telegrams_certificate(tmp_path: Path, certificate: str, trusted: tuple[str, ...], said: str) -> None:
    """Polls and sends never leave: no doubt about a send, no token at a stranger's."""
    seen: list[str] = []
    http = Http(tls=trusting(*trusted))
    async with shown(certificate, tmp_path, seen) as url:
        channel = TelegramChannel(telegram_config(TOKEN, f"{url}/bot"), http, ManualClock())
        for call in (channel.identify, lambda: channel.poll(None), lambda: channel.send(text_to(1))):
            with pytest.raises(ChannelUnreachable) as caught:
                await call()
            expected = f"Telegram cannot be reached: localhost: its certificate is not trusted: {said}"
            assert str(caught.value).startswith(expected)
            assert_no_token(caught.value)
    await http.close()
    assert seen == []


@pytest.mark.parametrize(("certificate", "trusted", "said"), WRONG, ids=IDS)
async def test_the_models_certificate(tmp_path: Path, certificate: str, trusted: tuple[str, ...], said: str) -> None:
    """Whole and streamed: an outage worth another try, told in the same words, and the key stays here."""
    seen: list[str] = []
    http = Http(tls=trusting(*trusted))
    request = CompletionRequest("m", (Message(Role.USER, "hello"),))
    async with shown(certificate, tmp_path, seen) as url:
        section = LlmSection(provider="openai", base_url=f"{url}/v1", api_key=Secret(KEY))
        provider = OpenAIProvider(section, http, ManualClock())
        for call in (lambda: provider.complete(request), lambda: anext(aiter(provider.stream(request)))):
            with pytest.raises(ProviderUnavailable) as caught:
                await call()
            expected = f"the model's server cannot be reached: localhost: its certificate is not trusted: {said}"
            assert str(caught.value).startswith(expected)
            assert KEY not in repr(caught.value)
    await http.close()
    assert seen == []


def bot_api(sandbox: Sandbox) -> Callable[[web.Request], object]:
    """The double's answers, for a server in front of it."""

    async def answer(request: web.Request) -> web.Response:
        bot = sandbox.find_bot(request.path.removeprefix("/bot").partition("/")[0])
        assert bot is not None
        if request.path.endswith("/getMe"):
            me = {"id": bot.id, "is_bot": True, "first_name": "x", "username": bot.username}
            return web.json_response({"ok": True, "result": me})
        parameters = json.loads(await request.read())
        reply = await bot.updates.get(parameters.get("offset", 0), 100, parameters["timeout"])
        return web.Response(body=reply.body, content_type="application/json")

    return answer


async def test_a_bot_says_so_and_starts_once_the_certificate_is_right(tmp_path: Path, clock: ManualClock) -> None:
    """Not a crash and not invalid: a condition that names the host and why, until the operator of the server is awake."""
    tls = serving(ELSEWHERE, tmp_path)
    http = Http(tls=trusting(ELSEWHERE, GOOD))
    async with place(tmp_path, clock, http=http) as it, canned_server(bot_api(it.sandbox), tls) as url:  # type: ignore[arg-type]
        bot = it.sandbox.add_bot()
        it.rig.edit("shop", channel="telegram", telegram={"token": bot.token, "base_url": f"{url}/bot"})
        await it.rig.apply()
        await eventually(lambda: it.condition("shop", Condition.POLLING)["status"] is False)
        reason = it.condition("shop", Condition.POLLING)["reason"]
        assert "localhost: its certificate is not trusted: Hostname mismatch" in reason
        await clock.advance(120)
        assert it.rig.phase("shop") is Phase.STARTING
        show(tls, GOOD, tmp_path)

        async def polls() -> bool:
            await clock.advance(1)
            return it.condition("shop", Condition.POLLING)["status"] is True

        await eventually(polls)
        it.assert_unharmed()
