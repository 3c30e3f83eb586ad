"""Every fault happens exactly as named, as often as asked, and at the very moment a test wants to hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import telegram
from telegram.error import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from console.sandbox.bots import SandboxBot
from console.sandbox.faults import BOT_KINDS
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sandbox(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    async with Sandbox(clock=clock) as running:
        yield running


@pytest.fixture
def double(sandbox: Sandbox) -> SandboxBot:
    return sandbox.add_bot()


@pytest.fixture
async def bot(sandbox: Sandbox, double: SandboxBot) -> AsyncIterator[telegram.Bot]:
    async with telegram.Bot(double.token, base_url=sandbox.base_url) as client:
        yield client


async def raw(sandbox: Sandbox, double: SandboxBot, method: str = "sendMessage") -> bytes:
    """Send one request over a bare socket and return all that comes back; raises ConnectionResetError for RST."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    body = b'{"chat_id":7,"text":"x"}'
    head = f"POST /bot{double.token}/{method} HTTP/1.1\r\nHost: 127.0.0.1:{sandbox.port}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("kind", "options", "error", "text"),
    [
        ("unauthorized", {}, InvalidToken, "Unauthorized"),
        ("not_found", {}, InvalidToken, "Not Found"),
        ("conflict", {}, Conflict, "terminated by other getUpdates request"),
        ("forbidden", {}, Forbidden, "blocked by the user"),
        ("bad_request", {"description": "Bad Request: can't do"}, BadRequest, "an't do"),
        ("flood", {"retry_after": 7}, RetryAfter, "Retry in"),
        ("server_error", {}, NetworkError, "Bad Gateway"),
        ("server_error", {"status": 500}, NetworkError, "Internal Server Error"),
        ("server_error", {"status": 503, "html": True}, NetworkError, "Unknown|Bad Gateway|HTTP"),
        ("reset", {}, NetworkError, "ReadError"),
        ("close", {}, NetworkError, "disconnected"),
        ("lost_reply", {}, NetworkError, "disconnected"),
        ("garbage", {}, TelegramError, "Invalid server response"),
        ("garbage", {"form": "truncated"}, TelegramError, "Invalid server response"),
        ("garbage", {"form": "html"}, TelegramError, "Invalid server response"),
        ("garbage", {"form": "empty"}, TelegramError, "Invalid server response"),
        ("garbage", {"form": "cut"}, NetworkError, "peer closed"),
    ],
)
async def test_an_independent_client_meets_each_fault(
    bot: telegram.Bot,
    double: SandboxBot,
    kind: str,
    options: dict[str, object],
    error: type[TelegramError],
    text: str,
) -> None:
    """Once switched on, python-telegram-bot raises the matching error once, and the next call goes well."""
    double.faults.fail("sendMessage", kind, **options)
    with pytest.raises(error, match=text):
        await bot.send_message(7, "x")
    assert double.sent_count == (1 if kind == "lost_reply" else 0)
    assert (await bot.send_message(7, "y")).text == "y"


async def test_flood_names_the_time_thrice(sandbox: Sandbox, double: SandboxBot) -> None:
    """A 429 carries retry_after in the parameters, the sentence and the header."""
    double.faults.fail("getMe", "flood", retry_after=7)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{sandbox.base_url}{double.token}/getMe") as answer,
    ):
        assert answer.headers["Retry-After"] == "7"
        assert await answer.json() == {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 7",
            "parameters": {"retry_after": 7},
        }


async def test_reset_is_a_reset_and_close_is_an_end(sandbox: Sandbox, double: SandboxBot) -> None:
    """`reset` sends RST; `close` and `lost_reply` end the connection in order, without a byte."""
    double.faults.fail("sendMessage", "reset")
    with pytest.raises(ConnectionResetError):
        await raw(sandbox, double)
    double.faults.fail("sendMessage", "close")
    assert await raw(sandbox, double) == b""
    double.faults.fail("sendMessage", "lost_reply")
    assert await raw(sandbox, double) == b""
    double.faults.fail("sendMessage", "lost_reply", reset=True)
    with pytest.raises(ConnectionResetError):
        await raw(sandbox, double)
    assert double.sent_count == 2


async def test_hang_never_answers(bot: telegram.Bot, double: SandboxBot) -> None:
    """`hang` takes the request and stays silent; with done=True the work is done all the same."""
    for done in (False, True):
        double.faults.fail("sendMessage", "hang", done=done)
        with pytest.raises(TimedOut):
            await bot.send_message(7, "x", read_timeout=0.05)
        assert double.sent_count == int(done)


async def test_slow_takes_its_time(bot: telegram.Bot, double: SandboxBot, clock: ManualClock) -> None:
    """`slow` does the work after delay_s of the clock."""
    fault = double.faults.fail("sendMessage", "slow", delay_s=30)
    sending = asyncio.create_task(bot.send_message(7, "x", read_timeout=60))
    await fault.reached()
    await clock.advance(29)
    assert double.sent_count == 0
    await clock.advance(1)
    assert (await sending).text == "x"


async def test_hold_stops_before_the_work(bot: telegram.Bot, double: SandboxBot) -> None:
    """`hold` keeps a request before anything is done; `release` lets it go on."""
    double.faults.fail("sendMessage", "hold")
    sending = asyncio.create_task(bot.send_message(7, "x"))
    await double.faults.reached("sendMessage")
    assert double.sent_count == 0
    assert double.faults.release("sendMessage") == 1
    assert (await sending).text == "x"


async def test_hold_after_stops_between_work_and_answer(bot: telegram.Bot, double: SandboxBot) -> None:
    """`hold_after` keeps the answer of a request that is done."""
    fault = double.faults.fail("sendMessage", "hold_after")
    sending = asyncio.create_task(bot.send_message(7, "x"))
    await double.faults.reached("sendMessage")
    assert (double.sent_count, sending.done()) == (1, False)
    fault.release()
    assert (await sending).message_id == double.sent[0].message_id


async def test_held_work_is_done_although_the_client_is_gone(
    sandbox: Sandbox, double: SandboxBot, bot: telegram.Bot
) -> None:
    """Like the real server, a request that has arrived is done even when nobody waits for the answer."""
    double.faults.fail("sendMessage", "hold")
    sending = asyncio.create_task(raw(sandbox, double))
    await double.faults.reached("sendMessage")
    sending.cancel()
    await asyncio.wait([sending])
    double.faults.release()
    await eventually(lambda: double.sent_count == 1)


async def test_a_lost_reply_of_a_poll_acknowledges(bot: telegram.Bot, double: SandboxBot) -> None:
    """A poll whose answer is lost has forgotten what its offset acknowledged, and nothing more."""
    first, second = double.say(7, "one"), double.say(7, "two")
    double.faults.fail("getUpdates", "lost_reply")
    with pytest.raises(NetworkError):
        await bot.get_updates(offset=first + 1)
    assert [update.update_id for update in await bot.get_updates()] == [second]


async def test_times_after_and_chat(bot: telegram.Bot, double: SandboxBot) -> None:
    """A switch strikes `times` requests, lets `after` pass first, and may be meant for one chat only."""

    async def refused(chat_id: int) -> bool:
        try:
            await bot.send_message(chat_id, "x")
        except Forbidden:
            return True
        return False

    double.faults.fail("sendMessage", "forbidden", times=2, after=1, chat_id=7)
    assert [await refused(chat) for chat in (7, 8, 7, 8, 7, 7)] == [False, False, True, False, True, False]
    double.faults.fail("*", "forbidden", times=None)
    assert [await refused(7) for _ in range(3)] == [True] * 3
    double.faults.clear()
    assert not await refused(7)


async def test_a_switch_for_the_whole_sandbox(sandbox: Sandbox, double: SandboxBot, bot: telegram.Bot) -> None:
    """`Sandbox.faults` strikes any bot, after the bot's own switches."""
    sandbox.faults.fail("getMe", "server_error")
    double.faults.fail("getMe", "flood")
    with pytest.raises(RetryAfter):
        await bot.get_me()
    with pytest.raises(NetworkError):
        await bot.get_me()
    assert (await bot.get_me()).id == double.id


async def test_clear_lets_everything_held_go(bot: telegram.Bot, double: SandboxBot) -> None:
    """`clear` releases held requests and takes every switch away."""
    double.faults.fail("sendMessage", "hold", times=None)
    sending = [asyncio.create_task(bot.send_message(7, "x")) for _ in range(3)]
    await double.faults.reached("sendMessage", 3)
    double.faults.clear()
    assert len(await asyncio.gather(*sending)) == 3
    assert (double.faults.describe(), double.faults.struck()) == ([], 0)


async def test_stopping_cuts_what_is_held(sandbox: Sandbox, double: SandboxBot) -> None:
    """A sandbox that stops does not do the work it holds, it cuts the connection."""
    double.faults.fail("sendMessage", "hold")
    sending = asyncio.create_task(raw(sandbox, double))
    await double.faults.reached("sendMessage")
    await sandbox.stop()
    await asyncio.wait([sending])
    assert sending.exception() is not None or sending.result() == b""
    assert double.sent_count == 0


async def test_an_unknown_kind_is_refused(double: SandboxBot) -> None:
    """A misspelled fault does not pass silently; the sentence names those that exist."""
    with pytest.raises(ValueError, match="lost_reply") as refusal:
        double.faults.fail("getMe", "earthquake")
    assert all(kind in str(refusal.value) for kind in BOT_KINDS)
