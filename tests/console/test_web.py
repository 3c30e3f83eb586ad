"""The control socket's HTTP side: errors, streams, strangers, the end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h11
import pytest

from console.doorway import Doorway, open_doorway
from console.errors import SocketUnusable
from console.runtime import Fleet, open_fleet
from console.web.server import GuardedProtocol, peer_uid
from console.web.stream import HEARTBEAT_S, ndjson
from tests.waiting import eventually
from workers.clock import ManualClock, SystemClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "f" / "bots").mkdir(parents=True)
    (tmp_path / "f" / "bots" / "idle.toml").write_text('channel = "none"\n')
    async with open_fleet(tmp_path / "f") as running:
        yield running


async def exchange(fleet: Fleet, method: str, target: str, body: bytes = b"", kind: str = "application/json") -> Any:
    """Send one request as any HTTP client would; return status and JSON."""
    reader, writer = await asyncio.open_unix_connection(fleet.owner.socket)
    wire = h11.Connection(h11.CLIENT)
    headers = [("host", "x"), ("connection", "close"), ("content-length", str(len(body))), ("content-type", kind)]
    for event in (h11.Request(method=method, target=target, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
        writer.write(wire.send(event) or b"")
    wire.receive_data(await reader.read())
    wire.receive_data(b"")
    status, content = 0, b""
    while not isinstance(event := wire.next_event(), h11.EndOfMessage):
        status = event.status_code if isinstance(event, h11.Response) else status
        content += bytes(event.data) if isinstance(event, h11.Data) else b""
    writer.close()
    return status, json.loads(content)


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "word", "name"),
    [
        ("GET", "/v1/bots/nobody", b"", 404, "no_such_bot", "BotNotFoundError"),
        ("GET", "/v1/nothing", b"", 404, "bad_request", "NotFoundError"),
        ("DELETE", "/v1/bots", b"", 405, "bad_request", "APIError"),
        ("POST", "/v1/actions/stop", b"{", 422, "bad_request", "ValidationError"),
        ("POST", "/v1/actions/stop", b'{"selectors": []}', 422, "bad_request", "ValidationError"),
        ("POST", "/v1/actions/explode", b'{"selectors": ["a"]}', 422, "bad_request", "ValidationError"),
        ("POST", "/v1/backup", b'{"target": "relative.db"}', 422, "bad_request", "ValidationError"),
        ("GET", "/v1/logs?pattern=(", b"", 422, "bad_request", "ValidationError"),
        ("GET", "/v1/logs?bots=nobody&follow=true", b"", 404, "no_such_bot", "BotNotFoundError"),
    ],
)
async def test_every_error_has_one_form(
    fleet: Fleet, method: str, target: str, body: bytes, status: int, word: str, name: str
) -> None:
    """A status code, and error, message, detail, timestamp."""
    found, answer = await exchange(fleet, method, target, body)
    assert (found, answer["error"], answer["detail"]["kind"]) == (status, name, word)
    assert answer.keys() == {"error", "message", "detail", "timestamp"}
    assert answer["message"]
    assert datetime.fromisoformat(answer["timestamp"]).tzinfo is UTC


async def test_a_mistake_of_ours_is_told_without_its_text(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an unexpected exception says may hold a secret: the client learns its kind, the log the rest."""

    def fail() -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(fleet.pool, "bots", fail)
    status, answer = await exchange(fleet, "GET", "/v1/bots")
    assert status == 500
    assert "secret" not in json.dumps(answer)
    assert "ValueError" in answer["message"]


async def test_routes_are_described(fleet: Fleet) -> None:
    """/v1/openapi.json names every route, for the front ends to come."""
    _, answer = await exchange(fleet, "GET", "/v1/openapi.json")
    assert {"/v1/info", "/v1/bots", "/v1/actions/{action}", "/v1/logs", "/v1/events"} <= answer["paths"].keys()


async def test_strangers_are_hung_up_on(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that is neither the owner nor root gets no answer."""
    from console.web import server

    monkeypatch.setattr(server, "peer_uid", lambda _: 12345)
    await eventually(lambda: os.path.exists(fleet.owner.socket))
    with pytest.raises((OSError, h11.RemoteProtocolError)):
        await exchange(fleet, "GET", "/v1/info")


def test_the_kernel_tells_who_the_peer_is() -> None:
    """SO_PEERCRED gives our own uid at the other end of a pair."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_uid(one) == os.getuid()
    assert peer_uid(None) is None
    assert issubclass(GuardedProtocol, asyncio.Protocol)


async def test_a_silent_stream_has_a_heartbeat(clock: ManualClock) -> None:
    """While there is nothing to say, a line says that the fleet lives; no line is lost to it."""
    said = asyncio.Event()

    async def lines() -> AsyncIterator[dict[str, int]]:
        yield {"n": 1}
        await said.wait()
        yield {"n": 2}

    got: list[Any] = []

    async def read() -> None:
        async for piece in ndjson(lines(), clock).body_iterator:
            got.append(json.loads(piece))

    reading = asyncio.ensure_future(read())
    await eventually(lambda: got == [{"n": 1}])
    await clock.advance(HEARTBEAT_S)
    await eventually(lambda: len(got) == 2)
    assert "heartbeat" in got[1]
    said.set()
    await reading
    assert got[2] == {"n": 2}


async def test_a_stale_socket_is_replaced_and_removed(tmp_path: Path) -> None:
    """What a killed process left is removed by the next holder of the lock; nothing is left behind."""
    path = tmp_path / "d" / "ctl.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with open_doorway(path, SystemClock()) as doorway:
        assert isinstance(doorway, Doorway)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()


async def test_a_socket_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A folder in the way is an error with a name."""
    path = tmp_path / "ctl.sock"
    path.mkdir()
    (path / "x").touch()
    with pytest.raises(SocketUnusable, match="cannot make the control socket"):
        async with open_doorway(path, SystemClock()):
            pass
