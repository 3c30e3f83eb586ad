"""How much may be asked over TCP: bodies, patience, rate, streams, connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from config.sections.api import ApiSection
from console.control import Action
from console.web import limits, listener, patience
from console.web.errors import RateLimitError
from console.web.limits import Bucket, Limits
from tests.console.api_rig import Api, serving
from tests.waiting import eventually
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f", max_body_kb=1, max_streams=2) as running:
        yield running


@pytest.fixture(params=patience.PROTOCOLS)
async def wire(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """The same, read by each of the parsers."""
    monkeypatch.setattr(listener, "PROTOCOLS", [request.param])
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f") as running:
        yield running


async def raw(api: Api, data: bytes) -> bytes:
    """Send bytes; return all that comes until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_body_that_is_too_long_is_refused(api: Api) -> None:
    """By what it announces already, or as soon as it comes; with the form of every error."""
    key = await api.key("operate")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 512

    for body in (b"x" * 1025, pieces()):
        answer = await api.ask("POST", "/v1/actions/stop", key=key, data=body, headers={"Idempotency-Key": "k"})
        assert answer.status == 413
        assert answer.body.keys() == {"error", "message", "detail", "timestamp"}


async def test_a_rate_that_is_too_high_is_429_with_when(api: Api) -> None:
    """The key alone is concerned."""
    await api.configure(requests_per_min=3)
    one, other = await api.key("read"), await api.key("operate")
    statuses = [(await api.ask("GET", "/v1/info", key=one)).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = await api.ask("GET", "/v1/info", key=one)
    assert refused.body["error"] == "RateLimitError"
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.body["detail"]["retry_after"] == int(refused.headers["retry-after"])
    assert (await api.ask("GET", "/v1/info", key=other)).status == 200


async def test_streams_are_bounded_and_given_back(api: Api) -> None:
    """A third is 429; when one ends there is room."""
    key = await api.key("read")
    headers = {"Authorization": f"Bearer {key}"}
    async with AsyncExitStack() as stack:
        for _ in range(2):
            stream = await stack.enter_async_context(api.session.get(f"{api.url}/v1/feed", headers=headers))
            assert await stream.content.readline()
        refused = await api.ask("GET", "/v1/feed", key=key)
        assert (refused.status, refused.body["error"]) == (429, "RateLimitError")
        assert (await api.ask("GET", "/v1/info", key=key)).status == 200

    async def again() -> bool:
        async with api.session.get(f"{api.url}/v1/feed", headers=headers) as stream:
            return stream.status == 200

    await eventually(again)


async def test_requests_at_once_are_bounded(api: Api) -> None:
    """What waits counts; another key's do not."""
    await api.configure(max_requests=1)
    key = await api.key("read")
    wait = {"bot_ids": ["echo"], "phases": ["stopped"], "timeout_s": 60}
    waiting = asyncio.ensure_future(api.ask("POST", "/v1/wait", key=key, json=wait))

    async def full() -> bool:
        nonlocal waiting
        if waiting.done():  # the look below came in first, and this was the one too many
            waiting = asyncio.ensure_future(api.ask("POST", "/v1/wait", key=key, json=wait))
            return False
        return (await api.ask("GET", "/v1/info", key=key)).status == 429

    await eventually(full)
    assert (await api.ask("GET", "/v1/info", key=await api.key("operate"))).status == 200
    await api.fleet.control.steer(Action.STOP, ["echo"], actor="test")
    assert (await waiting).body == {"missing": []}
    assert (await api.ask("GET", "/v1/info", key=key)).status == 200


@pytest.mark.parametrize(
    "said",
    [b"", b"\r\n", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: 1\r\n"],
    ids=["nothing", "a line end", "a word", "headers"],
)
async def test_who_does_not_come_to_the_point_is_cut(wire: Api, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """The head of a request has its time from the first byte on, whatever trickles in."""
    monkeypatch.setattr(patience, "HEAD_S", 0.05)
    answer = await raw(wire, said)
    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]


async def test_a_head_that_trickles_in_is_cut(wire: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then buys no time, on a connection that was used before neither."""
    monkeypatch.setattr(patience, "HEAD_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert await reader.readuntil(b'"ok"}')

    async def trickle() -> None:
        writer.write(b"GET /")
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.02)

    trickling = asyncio.ensure_future(trickle())
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 20)
    trickling.cancel()
    writer.close()


async def test_a_body_that_does_not_come_is_cut(wire: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announced and not sent; nothing of the request is left."""
    monkeypatch.setattr(patience, "BODY_S", 0.05)
    key = await wire.key("operate")
    head = f"POST /v1/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Length: 9\r\n\r\n{{"
    assert await raw(wire, head.encode()) == b""


async def test_an_answer_nobody_reads_is_cut(wire: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client asks for and leaves lying ends after a while."""
    monkeypatch.setattr(patience, "STALL_S", 0.05)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", wire.port))
        asking = b"GET /v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        server = wire.fleet.listener
        assert server is not None

        async def ask_on() -> bool:
            with suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(loop.sock_sendall(client, asking * 10), 1)
            return not server.connections

        await eventually(ask_on)


async def test_connections_are_bounded(wire: Api) -> None:
    """One too many is cut, the others live."""
    await wire.configure(max_connections=2)
    kept = [await asyncio.open_connection("127.0.0.1", wire.port) for _ in range(2)]
    await eventually(lambda: wire.fleet.listener is not None and wire.fleet.listener.connections >= 2)
    assert await raw(wire, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == b""
    reader, writer = kept[0]
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert b"200 OK" in await asyncio.wait_for(reader.readline(), 20)
    for _, one in kept:
        one.close()


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\nConnection: close\r\n\r\n",
        (
            b"POST /v1/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /%00%ff%c3%28 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["tls", "version", "two hosts", "smuggled", "long", "odd path", "websocket"],
)
async def test_what_is_no_request_is_refused(wire: Api, said: bytes) -> None:
    """4xx or cut, never a 500, and the next client is served."""
    answer = await raw(wire, said)
    status = answer.split(b"\r\n")[0]
    assert not answer or b" 4" in status or (b" 200 " in status and b"Upgrade" in said), status
    assert (await wire.ask("GET", "/healthz")).status == 200


# --- the accounts themselves ---------------------------------------------------------------------------------------


def test_a_bucket_fills_with_time() -> None:
    """All of a minute at once, then one every so often."""
    bucket = Bucket(100.0, 60)
    assert [bucket.take(100.0, 60) for _ in range(60)] == [0.0] * 60
    assert bucket.take(100.0, 60) == pytest.approx(1.0)
    assert bucket.take(101.0, 60) == 0.0
    assert bucket.take(1e9, 60) == 0.0


async def test_accounts_are_bounded_and_none_under_way_is_forgotten(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand addresses leave no more behind; a key's streams are counted as long as they last."""
    monkeypatch.setattr(limits, "REMEMBERED", 3)
    found = Limits(lambda: ApiSection(max_requests=1), clock)
    with found.enter("busy"):
        for number in range(20):
            with found.enter(f"address {number}"):
                pass
            found.fail(f"address {number}")
        with pytest.raises(RateLimitError, match="at once"):
            found.enter("busy")
    with found.enter("busy"):
        assert len(found._accounts) <= 4
        assert len(found._failures) <= 3
