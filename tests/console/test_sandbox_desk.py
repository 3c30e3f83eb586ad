"""The page and the switches: another process can do over HTTP what a test does in hand; foreign pages cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest

from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock) as running:
        yield running


@pytest.fixture
def double(sandbox: Sandbox) -> SandboxBot:
    return sandbox.add_bot(username="support_bot", name="Support")


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(sandbox.url) as client:
        yield client


async def get(session: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with session.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def post(session: aiohttp.ClientSession, path: str, body: Any, *, status: int = 200, **headers: str) -> Any:
    async with session.post(path, json=body, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def send(session: aiohttp.ClientSession, bot: SandboxBot, text: str, chat_id: int = 7) -> dict[str, Any]:
    async with session.post(f"/bot{bot.token}/sendMessage", json={"chat_id": chat_id, "text": text}) as answer:
        return await answer.json()


async def test_a_person_writes_and_reads(sandbox: Sandbox, double: SandboxBot, session: aiohttp.ClientSession) -> None:
    """What is said arrives as an update; what the bot answers is read, live, and only of the chat asked for."""
    said = await post(session, "/sandbox/say", {"bot": "support_bot", "chat_id": 7, "text": "hello", "name": "Åsa"})
    assert double.updates.waiting[0].update_id == said["update_id"]
    first = await get(session, f"/sandbox/messages?bot={double.id}&chat_id=7")
    assert [(line["name"], line["text"], line["by_bot"]) for line in first["lines"]] == [("Åsa", "hello", False)]
    waiting = asyncio.create_task(
        get(session, f"/sandbox/messages?bot={double.id}&chat_id=7&after={first['last']}&timeout=30")
    )
    await send(session, double, "elsewhere", chat_id=8)
    await send(session, double, "hi Åsa")
    assert [line["text"] for line in (await waiting)["lines"]] == ["hi Åsa"]


async def test_waiting_for_messages_ends_with_the_clock(
    double: SandboxBot, session: aiohttp.ClientSession, clock: ManualClock
) -> None:
    """A wait without news is answered empty when its time is over."""
    waiting = asyncio.create_task(get(session, f"/sandbox/messages?bot={double.id}&timeout=20"))
    await eventually(lambda: clock.waiting)
    await clock.advance(20)
    assert (await waiting)["lines"] == []


async def test_state_lists_bots_without_tokens(double: SandboxBot, session: aiohttp.ClientSession) -> None:
    """The state tells who is there and how they fare, never a token."""
    double.say(7, "x")
    async with session.get("/sandbox/state") as answer:
        text = await answer.text()
        [bot] = (await answer.json())["bots"]
    assert (bot["username"], bot["pending"], bot["polled"]) == ("support_bot", 1, False)
    assert bot["chats"] == [{"id": 7, "type": "private", "name": "Anna"}]
    assert double.token not in text


async def test_faults_from_another_process(double: SandboxBot, session: aiohttp.ClientSession) -> None:
    """Switching on, waiting until reached and releasing work over HTTP as they do in hand."""
    bot = double.id
    body = {"bot": bot, "method": "sendMessage", "kind": "hold"}
    assert (await post(session, "/sandbox/faults", body))["faults"][0]["kind"] == "hold"
    reached = asyncio.create_task(get(session, f"/sandbox/faults/reached?bot={bot}&method=sendMessage&timeout=30"))
    sending = asyncio.create_task(send(session, double, "x"))
    assert await reached == {"reached": True, "count": 1}
    assert double.sent_count == 0
    assert await post(session, "/sandbox/faults/release", {"bot": bot, "method": "sendMessage"}) == {"released": 1}
    assert (await sending)["ok"]
    body = {"bot": "*", "method": "sendMessage", "kind": "flood", "times": None, "options": {"retry_after": 9}}
    await post(session, "/sandbox/faults", body)
    assert (await send(session, double, "x"))["parameters"] == {"retry_after": 9}
    async with session.delete("/sandbox/faults", params={"bot": "*"}) as answer:
        assert answer.status == 200
    assert (await send(session, double, "x"))["ok"]
    await post(session, "/sandbox/faults", {"bot": "model", "method": "chat", "kind": "cut"})
    assert (await get(session, "/sandbox/faults?bot=model"))["faults"][0]["kind"] == "cut"


async def test_not_reached_in_time_is_told(double: SandboxBot, session: aiohttp.ClientSession) -> None:
    """Without a timeout the wait only tells how things stand."""
    answer = await get(session, f"/sandbox/faults/reached?bot={double.id}&method=sendMessage")
    assert answer == {"reached": False, "count": 0}


async def test_bots_poison_buttons_and_jumps_over_http(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    """A process elsewhere can make a bot, push any update, press a button and let ids jump."""
    made = await post(session, "/sandbox/bots", {"username": "made_bot"})
    double = sandbox.bots[made["id"]]
    assert made["token"] == double.token
    pushed = await post(session, "/sandbox/push", {"bot": "made_bot", "update": {"message": 5}})
    pressed = await post(session, "/sandbox/press", {"bot": "made_bot", "chat_id": 7, "message_id": 1, "data": "y"})
    assert [update.update_id for update in double.updates.waiting] == [pushed["update_id"], pressed["update_id"]]
    assert (await post(session, "/sandbox/jump", {"bot": "made_bot", "delta": 50}))["next_id"] == double.updates.next_id
    refused = await post(session, "/sandbox/jump", {"bot": "made_bot", "delta": -50}, status=400)
    assert "pending" in refused["error"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/say", {"bot": 100_001, "text": "x"}),
        ("/sandbox/say", {"bot": 100_001, "chat_id": "seven", "text": "x"}),
        ("/sandbox/say", {"bot": 100_001, "chat_id": 7, "text": ""}),
        ("/sandbox/say", {"bot": 4, "chat_id": 7, "text": "x"}),
        ("/sandbox/faults", {"bot": 100_001, "method": "getMe", "kind": "earthquake"}),
        ("/sandbox/push", {"bot": 100_001, "update": []}),
        ("/sandbox/say", []),
    ],
)
async def test_wrong_wishes_are_refused_in_a_sentence(
    double: SandboxBot, session: aiohttp.ClientSession, path: str, body: Any
) -> None:
    """Whatever is missing or wrong is a 400 that says so."""
    assert (await post(session, path, body, status=400))["error"]


async def test_foreign_hosts_and_origins_are_refused(
    sandbox: Sandbox, double: SandboxBot, session: aiohttp.ClientSession
) -> None:
    """A rebound name, a page elsewhere and a form post cannot reach the sandbox."""
    async with session.get("/", headers={"Host": f"evil.example:{sandbox.port}"}) as answer:
        assert answer.status == 403
    async with session.get(f"/bot{double.token}/getMe", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    wish = {"bot": double.id, "chat_id": 7, "text": "x"}
    await post(session, "/sandbox/say", wish, status=403, Origin="http://evil.example")
    await post(session, "/sandbox/say", wish, status=403, Origin="null")
    await post(session, "/sandbox/say", wish, status=403, **{"Sec-Fetch-Site": "cross-site"})
    async with session.post("/sandbox/say", data=b"{}", headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415
    assert double.pending == 0
    await post(session, "/sandbox/say", wish, Origin=sandbox.url, **{"Sec-Fetch-Site": "same-origin"})
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(host="0.0.0.0")


class Page(HTMLParser):
    """Collects what the page refers to and how its controls are named."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.nonces: set[str | None] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [given[name] or "" for name in ("src", "href", "action") if name in given]
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        if tag in {"script", "style"}:
            self.nonces.add(given.get("nonce"))


async def test_the_page_needs_nothing_from_outside(session: aiohttp.ClientSession) -> None:
    """One file, no foreign asset, no inline handler, a fresh nonce each time, text never written as markup."""
    pages = []
    for _ in range(2):
        async with session.get("/") as answer:
            assert answer.content_type == "text/html"
            text, policy = await answer.text(), answer.headers["Content-Security-Policy"]
        page = Page()
        page.feed(text)
        [nonce] = page.nonces
        assert nonce and f"script-src 'nonce-{nonce}'" in policy and "default-src 'none'" in policy
        assert page.addresses == ["data:,"] and page.handlers == []
        assert not any(
            way in text for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
        )
        pages.append(nonce)
    assert pages[0] != pages[1]
