"""The wire: what never left, what left without an answer, and answers no Bot API gives."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from aiohttp import web
from telegram.error import NetworkError, TelegramError, TimedOut
from yarl import URL

from config.vocabulary import Secret
from tests.waiting import eventually
from tests.workers.telegram_rig import TOKEN, assert_no_token, canned_channel, canned_server, telegram_config, text_to
from workers.channels import transport
from workers.channels.faults import Garbage, Refused, Unsent, as_refused, channel_error, scrub
from workers.channels.telegram import TelegramChannel
from workers.channels.transport import AiohttpRequest
from workers.clock import ManualClock, SystemClock
from workers.errors import ChannelUnreachable, RateLimited, SendUncertain
from workers.http import Http

pytestmark = pytest.mark.anyio

# Of a server called localhost, trusted by nobody, good for nothing else; valid 2020 to 2120.
KEY_AND_CERTIFICATE = """
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4RLlgt2jKVD2bBPC
Jkgxe9VdHiQ7iDVKmOooYGlWUBmhRANCAARmKZajmH6m+iFX4XPqJEhp6lyjImcj
fzAesBLNxwuFlkQ7ZLDhlctdS9WAAcz07jwd0jKIg7dlVvGC/8nb68Qs
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGYplqOYfqb6IVfh
c+okSGnqXKMiZyN/MB6wEs3HC4WWRDtksOGVy11L1YABzPTuPB3SMoiDt2VW8YL/
ydvrxCyjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBRuFUn3gKxOgi4a0TSz9dgNPPYcQDAKBggqhkjOPQQD
AgNJADBGAiEA3bGvzrdX2LhjqmR2//WKEjHu88Ke7XLnthw0X3wgpUECIQCWzo4x
igU24iQ9LOxYf2/0wgl9L1LrpwPfcji/IYbiiA==
-----END CERTIFICATE-----
"""
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def server_tls(folder: Path) -> ssl.SSLContext:
    file = folder / "localhost.pem"
    file.write_text(KEY_AND_CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def ok(request: web.Request) -> web.Response:
    return web.json_response({"ok": True, "result": {"id": 7, "first_name": "x", "is_bot": True, "message_id": 1}})


def plain(status: int, body: str = "<html>", **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body.replace("PATH", request.path), headers=headers)

    return answer


async def unreachable(base_url: str, http: Http) -> str:
    """Identify, poll and send must all fail as unreachable; return what is said."""
    channel = TelegramChannel(telegram_config(TOKEN, base_url), http, SystemClock())
    said = set()
    for call in (channel.identify, lambda: channel.poll(None), lambda: channel.send(text_to(1))):
        with pytest.raises(ChannelUnreachable) as caught:
            await call()
        assert_no_token(caught.value)
        said.add(str(caught.value))
    (text,) = said
    return text


async def test_an_untrusted_certificate_is_unreachable_and_named(tmp_path: Path) -> None:
    """A wrong certificate stops the request before the token has left, and the reason is clear."""
    http = Http()
    async with canned_server(ok, server_tls(tmp_path)) as url:
        text = await unreachable(f"{url}/bot", http)
    await http.close()
    assert "localhost: its certificate is not trusted: self" in text


async def test_a_context_of_ones_own_trusts_what_it_trusts(tmp_path: Path) -> None:
    """One TLS context for all bots, given to Http, works."""
    trusting = ssl.create_default_context(cadata=KEY_AND_CERTIFICATE[KEY_AND_CERTIFICATE.index("-----BEGIN C") :])
    http = Http(tls=trusting)
    async with canned_server(ok, server_tls(tmp_path)) as url:
        channel = TelegramChannel(telegram_config(TOKEN, f"{url}/bot"), http, ManualClock())
        assert (await channel.identify()).id == 7
        await http.close()


async def test_tls_spoken_to_a_plain_server_is_unreachable() -> None:
    """https in the configuration, http at the port."""
    http = Http()
    async with canned_server(ok) as url:
        await unreachable(f"{url.replace('http:', 'https:')}/bot", http)
    await http.close()


async def test_a_name_that_does_not_exist_is_unreachable_and_named() -> None:
    """DNS failure: the request never left."""
    http = Http()
    text = await unreachable("http://nowhere.invalid/bot", http)
    assert "nowhere.invalid: the name is not found" in text
    assert "check telegram.base_url" in text
    await unreachable(f"http://{'x' * 80}.invalid/bot", http)
    await http.close()


async def test_nobody_listening_is_unreachable_and_named() -> None:
    """Connection refused: the request never left."""
    http = Http()
    assert "127.0.0.1:1: no connection: " in await unreachable("http://127.0.0.1:1/bot", http)
    await http.close()


async def test_errors_that_hold_the_url_leave_no_trace() -> None:
    """aiohttp puts the URL into some errors; ours is chained to none of them."""
    http = Http()
    for url in (f"http:///bot{TOKEN}/getMe", f"ftp://127.0.0.1/bot{TOKEN}/getMe"):
        with pytest.raises(Unsent) as caught:
            await AiohttpRequest(http).call(URL(url), b"{}")
        assert_no_token(caught.value)
    await http.close()


async def test_a_closed_client_is_unreachable() -> None:
    """After the fleet's HTTP client is closed nothing is sent, and nothing hangs."""
    http = Http()
    await http.close()
    channel = TelegramChannel(telegram_config(TOKEN, "http://127.0.0.1:1/bot"), http, ManualClock())
    with pytest.raises(ChannelUnreachable, match="closed"):
        await channel.send(text_to(1))
    await http.close()


@pytest.mark.parametrize("status", [301, 302, 404, 401, 407, 413])
async def test_a_gateway_in_telegrams_place_is_no_verdict_on_token_or_message(status: int) -> None:
    """A page is no Bot API answer: the token is not rejected, the message neither refused nor taken, nor redirected."""
    http = Http()
    async with canned_server(plain(status, "Cannot POST PATH", Location="http://127.0.0.1:1/")) as url:
        text = await unreachable(f"{url}/bot", http)
    await http.close()
    assert f"HTTP {status}" in text


async def test_a_gateways_429_page_is_patience() -> None:
    """A 429 without a Bot API body still means what it says."""
    async with canned_channel(plain(429)) as channel:
        with pytest.raises(RateLimited) as caught:
            await channel.poll(None)
        assert caught.value.retry_after_s == 5


@pytest.mark.parametrize("description", ["no such path /bot{t}/getUpdates", "bad %3A{t}", "{t} x" * 99, "{s}"])
async def test_a_server_that_echoes_the_token_is_not_quoted(description: str) -> None:
    """Descriptions are shown, the token in them is not, nor are they endless."""
    text = description.format(t=TOKEN, s=TOKEN.partition(":")[2])

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"ok": False, "error_code": 400, "description": text}, status=400)

    async with canned_channel(answer) as channel:
        for call in (channel.identify, lambda: channel.poll(None), lambda: channel.send(text_to(1))):
            with pytest.raises(Exception) as caught:
                await call()
            assert_no_token(caught.value)
            assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b"null",
        b'"ok"',
        b"{}",
        b'{"ok":true}',
        b'{"ok":1,"result":[]}',
        b'{"ok":true,"result":{}}',
        b"\xff",
    ],
)
async def test_a_success_that_makes_no_sense_is_unreachable(answer: bytes) -> None:
    """Whatever stands in a 200, a poll never trusts its type."""

    async def garbage(request: web.Request) -> web.Response:
        return web.Response(body=answer)

    async with canned_channel(garbage) as channel:
        with pytest.raises(ChannelUnreachable):
            await channel.poll(None)
        with pytest.raises(ChannelUnreachable):
            await channel.identify()
        if answer != b'{"ok":true,"result":{}}':
            with pytest.raises(SendUncertain):
                await channel.send(text_to(1))


async def test_compressed_and_chunked_answers_are_read() -> None:
    """Telegram's gateway compresses; a local server may send chunks."""

    async def answer(request: web.Request) -> web.Response:
        response = web.json_response({"ok": True, "result": [{"update_id": 1, "x": "y" * 5000}]})
        response.enable_compression(web.ContentCoding.gzip)
        response.enable_chunked_encoding()
        return response

    async with canned_channel(answer) as channel:
        assert [update["update_id"] for update in await channel.poll(None)] == [1]


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never stops talking does not fill the memory."""
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 100_000)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    async with canned_channel(endless) as channel:
        with pytest.raises(ChannelUnreachable):
            await channel.poll(None)


async def test_time_outs_of_a_bot_method_are_kept() -> None:
    """read_timeout ends the wait with TimedOut; a request that did not even connect is Unsent."""
    waiting: list[int] = []

    async def silent(request: web.Request) -> web.Response:
        waiting.append(1)
        await anyio.sleep_forever()
        raise AssertionError

    http = Http()
    request = AiohttpRequest(http)
    async with canned_server(silent) as url:
        with pytest.raises(TimedOut) as late:
            await request.post(f"{url}/bot{TOKEN}/getMe", read_timeout=0.05)
    assert waiting == [1]
    with pytest.raises(Unsent) as unsent:
        await request.post(f"http://127.0.0.1:1/bot{TOKEN}/getMe", connect_timeout=1)
    await http.close()
    for caught in (late, unsent):
        assert isinstance(caught.value, NetworkError)
        assert_no_token(caught.value)


async def test_a_cancelled_call_closes_its_connection() -> None:
    """An abandoned long poll ends at the server at once instead of lingering as a second poller."""
    ended: list[str] = []

    async def silent(request: web.Request) -> web.Response:
        ended.append("began")
        transport = request.transport
        while transport is not None and not transport.is_closing():
            await anyio.lowlevel.checkpoint()
        ended.append("ended")
        raise web.HTTPOk

    http = Http()
    async with canned_server(silent) as url:
        async with anyio.create_task_group() as group:
            group.start_soon(AiohttpRequest(http).call, URL(f"{url}/bot/getUpdates"), b"{}")
            await eventually(lambda: ended)
            group.cancel_scope.cancel()
        await eventually(lambda: ended == ["began", "ended"])
    await http.close()


async def test_a_connection_is_used_again() -> None:
    """One bot, one connection: no handshake per poll."""
    peers: set[object] = set()

    async def answer(request: web.Request) -> web.Response:
        peers.add(request.transport)
        return await ok(request)

    async with canned_channel(answer) as channel:
        for _ in range(5):
            await channel.send(text_to(1))
    assert len(peers) == 1


@pytest.mark.parametrize(
    ("parameters", "description", "wait_s"),
    [
        ({"retry_after": 3}, "", 3),
        ({"retry_after": "soon"}, "Too Many Requests: retry after 4", 4),
        ({"retry_after": -1}, "", 1),
        ({"retry_after": 2.5}, "", 3),
        ({"retry_after": True}, "", 5),
        ({"retry_after": 10**9}, "", 86400),
        ({"retry_after": 10**400}, "", 86400),
        ({"retry_after": float("nan")}, "", 5),
        ({}, "Too Many Requests", 5),
    ],
)
def test_patience_is_a_sane_number_whatever_the_server_says(
    parameters: dict[str, object], description: str, wait_s: float
) -> None:
    """retry_after is never trusted."""
    assert Refused(429, description, parameters).retry_after_s == wait_s


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
def test_python_telegram_bots_own_errors_pass_the_same_door() -> None:
    """Errors its own request class would make are told apart likewise."""
    from telegram import error as ptb

    cases: list[tuple[TelegramError, int | None]] = [
        (ptb.InvalidToken(), 401),
        (ptb.EndPointNotFound("x"), 404),
        (ptb.Forbidden("x"), 403),
        (ptb.Conflict("x"), 409),
        (ptb.BadRequest("x"), 400),
        (ptb.ChatMigrated(-100), 400),
        (ptb.RetryAfter(7), 429),
        (ptb.TimedOut(), None),
        (ptb.NetworkError("x"), None),
        (Garbage(500), None),
    ]
    for error, code in cases:
        refused = as_refused(error)
        assert (refused.code if refused else None) == code
    limited = channel_error(ptb.RetryAfter(7), TOKEN, sending=True)
    assert isinstance(limited, RateLimited)
    assert limited.retry_after_s == 7


def test_scrub_knows_tokens_it_was_not_told() -> None:
    """Another bot's token in a server's words is masked by its shape."""
    other = "7654321:" + "Zz_-" * 9
    assert scrub(f"see {other} and 7654321%3A{'Zz_-' * 9}\n", TOKEN) == f"see {Secret.MASK} and {Secret.MASK}"
