"""Requests nobody's client sends: the control socket refuses each in its own words, and touches no file elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from console.runtime import Fleet, open_fleet
from console.web.bounds import MAX_BODY_BYTES

pytestmark = pytest.mark.anyio

PLACES = {
    "dots": "/v1/bots/../../fleet",
    "encoded dots": "/v1/bots/%2e%2e%2f%2e%2e%2fsecret/file",
    "dots twice encoded": "/v1/bots/%252e%252e%252fsecret/file",
    "nul": "/v1/bots/a%00b/file",
    "overlong": "/v1/bots/" + "a" * 9000 + "/file",
    "no utf-8": "/v1/bots/%ff%fe/file",
    "half a character": "/v1/bots/%ed%a0%80/file",
    "bidi": "/v1/bots/%e2%80%ae/file",
    "a file's name": "/v1/bots/secret.toml/file",
    "absolute": "/v1/bots/%2fetc%2fpasswd/file",
    "upper case": "/v1/bots/IDLE/config",
    "number": "/v1/bots/idle/series?since=nan&until=1e999&step_s=99999999999999999999",
    "too far": "/v1/bots/idle/series?since=1e300&until=1e300&step_s=60",
    "no moment": "/v1/logs?since=nan",
    "no moment of events": "/v1/events?before=inf",
    "no moment of people": "/v1/bots/idle/conversations?before=1e300",
    "no place": "/v1/bots/idle/messages?client_id=x&conversation_id=1&before_seq=99999999999999999999",
    "not a number": "/v1/logs?tail=x",
    "negative": "/v1/logs?tail=-1",
    "an action": "/v1/actions/%2e%2e",
}
BODIES = {
    "deep": b"[" * 200_000,
    "no utf-8": b'{"text": "\xff"}',
    "nul": b"\0" * 99,
    "digits": b'{"text": ' + b"9" * 10_000 + b"}",
    "a list": b"[]",
}
ORDERS = (
    "/v1/bots/%2e%2e%2fsecret/file",
    "/v1/bots/%2e%2e%2fsecret/remove",
    "/v1/bots",
    "/v1/import",
    "/v1/actions/stop",
)


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "secret.toml").write_text('channel = "none"\n')
    (tmp_path / "f" / "bots").mkdir(parents=True, exist_ok=True)
    (tmp_path / "f" / "bots" / "idle.toml").write_text('channel = "none"\n')
    async with open_fleet(tmp_path / "f") as running:
        yield running


async def answer(fleet: Fleet, raw: bytes, pieces: int = 1) -> bytes:
    """Write bytes to the socket, the last of them `pieces` times; return all that comes back."""
    reader, writer = await asyncio.open_unix_connection(fleet.owner.socket)
    with suppress(OSError):  # it may hang up before it has heard everything
        for _ in range(pieces):
            writer.write(raw)
            await writer.drain()
    said = b""
    with suppress(OSError):
        said = await reader.read(65_536)
    writer.close()
    return said


def post(target: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode("latin-1") + body


def is_refused(said: bytes) -> bool:
    """Whether it is a clean refusal: a status of the client's, and nothing of our code."""
    return said.startswith(b"HTTP/1.1 4") and b"Traceback" not in said and b'.py"' not in said


@pytest.fixture
def untouched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing outside of the fleet's own files has changed, and no mistake of ours was logged."""

    def files() -> dict[Path, bytes]:
        bots = [*(tmp_path / "f" / "bots").iterdir(), *tmp_path.glob("*.toml")]
        return {path: path.read_bytes() for path in bots}

    yield
    assert {path.name: data for path, data in files().items()} == {
        "idle.toml": b'channel = "none"\n',
        "secret.toml": b'channel = "none"\n',
    }
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", PLACES)
async def test_a_place_that_is_none_is_refused(fleet: Fleet, name: str) -> None:
    """Read, written and removed alike."""
    for raw in (
        post(PLACES[name], b"", method="GET"),
        post(PLACES[name], b'{"text": "channel = 1", "expected_digest": ""}'),
        post(PLACES[name].replace("/file", "/remove"), b"{}"),
        post(PLACES[name].replace("/file", "/preview"), b'{"text": ""}'),
    ):
        assert is_refused(await answer(fleet, raw)), name


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_none_is_refused(fleet: Fleet, name: str) -> None:
    """By every order there is."""
    for target in ORDERS:
        assert is_refused(await answer(fleet, post(target, BODIES[name]))), target


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v1/bots HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v1/bots HTTP/1.1\r\n\r\n",
        b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /v1/bots HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 300_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 9 + b"\r\n\r\n",
    ],
    ids=["two hosts", "no host", "two lengths", "negative", "long header", "long path", "nul", "no ascii", "tls"],
)
async def test_what_is_no_http_is_refused(fleet: Fleet, raw: bytes) -> None:
    """With a 4xx, and the next client is served."""
    said = await answer(fleet, raw)
    assert is_refused(said) or not said, "hung up on, when it goes on speaking"
    assert (await answer(fleet, post("/v1/info", b"", method="GET"))).startswith(b"HTTP/1.1 200")


@pytest.mark.usefixtures("untouched")
async def test_a_huge_body_is_not_held_in_memory(fleet: Fleet) -> None:
    """Announced or in chunks: 413 once it is too long."""
    body = b'{"text": "' + b"x" * MAX_BODY_BYTES + b'"}'
    assert (await answer(fleet, post("/v1/bots/idle/preview", body))).startswith(b"HTTP/1.1 413")
    head = b"POST /v1/bots/idle/preview HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % 65_536 + b"x" * 65_536 + b"\r\n"
    said = await answer(fleet, head + chunk * (MAX_BODY_BYTES // 65_536 + 2) + b"0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413")


@pytest.mark.usefixtures("untouched")
async def test_odd_keys_of_orders_are_keys(fleet: Fleet) -> None:
    """Given twice, no ASCII, overlong: an order is done or refused."""
    for key in ("\xff\xfe", "k" * 9000, ""):
        raw = post("/v1/reload", b"{}", f"Idempotency-Key: {key}", "Idempotency-Key: other")
        assert (await answer(fleet, raw)).startswith((b"HTTP/1.1 200", b"HTTP/1.1 4"))
