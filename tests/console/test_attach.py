"""The client side of the socket: what it says when nobody, or somebody else, answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from anyio.lowlevel import checkpoint

from config.errors import ConfigError, FleetError
from console.attach import RemoteControl, connect
from console.control import LogQuery
from console.errors import NoFleet, RemoteFailure, WrongVersion, described, revived
from console.lock import Lock, Owner
from console.place import Place
from store.errors import StoreError, StoreFull
from tests.waiting import eventually
from workers.clock import ManualClock, SystemClock
from workers.errors import NoSuchBot

pytestmark = pytest.mark.anyio

INFO = {"api": "1.7", "version": "9", "name": "x", "pid": 1, "start_id": "a", "started_at": 0.0, "capabilities": []}


@asynccontextmanager
async def serving(path: Path, answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[None]:
    """A server that reads a request and lets `answer` write what it likes."""

    leaving = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        answer(writer)
        if not writer.is_closing():
            await leaving.wait()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        left.append(True)

    left: list[bool] = []
    server = await asyncio.start_unix_server(handle, str(path))
    try:
        yield
    finally:
        leaving.set()
        await eventually(lambda: left)
        server.close()
        path.unlink(missing_ok=True)


def reply(document: object, status: str = "200 OK", *, extra: str = "") -> Callable[[asyncio.StreamWriter], None]:
    content = json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(content)}\r\n{extra}\r\n".encode()

    def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head + content)
        writer.close()

    return write


async def test_no_fleet_is_said_with_how_to_start_one(tmp_path: Path) -> None:
    """Nobody holds the lock: exit 4 and the command that starts a fleet."""
    with pytest.raises(NoFleet, match="does not run") as refused:
        await connect(Place(tmp_path, tmp_path / "x.db", "mine"))
    assert refused.value.exit_code == 4
    assert f"botdeck run -C {tmp_path}" in refused.value.hint


async def test_a_fleet_without_a_socket_is_said_by_pid(tmp_path: Path) -> None:
    """The lock is held and nobody answers on the socket."""
    owner = Owner(4711, "s", "1", str(tmp_path / "gone.sock"), 0.0)
    lock = await Lock.take(tmp_path / "x.db", owner, SystemClock())
    with pytest.raises(NoFleet, match="pid 4711") as refused:
        await connect(Place(tmp_path, tmp_path / "x.db", "mine"))
    assert "gone.sock" in refused.value.message
    lock.release()


async def test_another_minor_version_is_fine_another_major_is_not(tmp_path: Path) -> None:
    """1.x speaks to 1.y; 2.x is refused with both versions named."""
    path = tmp_path / "s"
    async with serving(path, reply(INFO)):
        assert (await RemoteControl(path).shake_hands())["api"] == "1.7"
    async with serving(path, reply(INFO | {"api": "2.0"})):
        with pytest.raises(WrongVersion, match=r"2\.0"):
            await RemoteControl(path).shake_hands()


async def test_a_fleet_that_does_not_answer_is_given_up(tmp_path: Path, clock: ManualClock) -> None:
    """A silent server costs 30 s, not for ever."""
    path = tmp_path / "s"
    async with serving(path, lambda _: None):
        asking = asyncio.ensure_future(RemoteControl(path, clock).info())
        await eventually(lambda: clock.waiting)
        await clock.advance(31)
        with pytest.raises(NoFleet, match="did not answer within 30 s"):
            await asking


async def test_a_stream_that_falls_silent_is_given_up(tmp_path: Path, clock: ManualClock) -> None:
    """Without a heartbeat a stream is dead."""
    path = tmp_path / "s"

    def begin(writer: asyncio.StreamWriter) -> None:
        line = b'{"heartbeat":1}\n{"text":"x"}\n'
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(line), line))

    async with serving(path, begin):
        lines = RemoteControl(path, clock).follow_logs(LogQuery())
        assert (await anext(lines))["text"] == "x"
        coming = asyncio.ensure_future(anext(lines))
        await checkpoint()
        await clock.advance(21)
        with pytest.raises(NoFleet, match="fallen silent"):
            await coming


async def test_a_connection_cut_in_the_middle_is_said(tmp_path: Path) -> None:
    """Half an answer is no answer."""
    path = tmp_path / "s"

    def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        writer.close()

    async with serving(path, cut):
        with pytest.raises(NoFleet, match="was lost"):
            await RemoteControl(path).info()


async def test_an_answer_that_is_no_json_is_said(tmp_path: Path) -> None:
    """A stranger on the socket is not taken for a fleet."""
    path = tmp_path / "s"

    def html(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>")
        writer.close()

    async with serving(path, html):
        with pytest.raises(RemoteFailure, match="502"):
            await RemoteControl(path).info()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoSuchBot("no", "near"), NoSuchBot),
        (StoreFull("full", "free some"), StoreFull),
        (ConfigError("bad"), ConfigError),
        (FleetError("some", "thing"), RemoteFailure),
        (StoreError("x"), StoreError),
    ],
)
def test_errors_keep_class_sentence_and_exit_code(error: FleetError, kind: type[FleetError]) -> None:
    """What a client raises is what the fleet raised, as far as the client can know it."""
    back = revived(json.loads(json.dumps(described(error))))
    assert type(back) is kind
    assert (back.message, back.hint, back.exit_code) == (error.message, error.hint, error.exit_code)


def test_an_error_of_a_newer_fleet_is_still_an_error() -> None:
    """Unknown words and missing fields do not break a client."""
    assert isinstance(revived({"error": "too_new", "message": "m", "detail": {"a": 1}}), RemoteFailure)
    assert revived({}).message == "the fleet failed"
