"""HTTP over a unix socket to a fleet: one request a connection, answers whole or as JSON lines.

Light on purpose: asyncio streams and h11, so that `botdeck status` answers before a web client is imported.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode

import h11

from config.errors import FleetError
from console.errors import NoFleet, ReadOnly, RemoteFailure, revived
from workers.clock import Clock, SystemClock
from workers.encoding import decoded

ANSWER_TIMEOUT_S: Final = 30.0
"""How long an answer may take; what takes longer by nature (wait, backup, remove) brings its own limit."""
LONG_TIMEOUT_S: Final = 3600.0
SILENCE_S: Final = 20.0
"""A stream has a heartbeat every 5 s; one that is silent for this long is dead."""
READ_BYTES: Final = 65536


class _Cut(NoFleet):
    """The connection was lost: whether the fleet has done what was asked is not known."""


class Wire:
    """Asks the fleet that serves a socket; every call has its own connection.

    readonly: orders are refused, here already and by the fleet.
    """

    def __init__(
        self, socket: Path, clock: Clock | None = None, *, pid: int | None = None, readonly: bool = False
    ) -> None:
        self.socket = socket
        self.readonly = readonly
        self._pid = pid
        self._clock = clock or SystemClock()

    async def _order(self, path: str, body: dict[str, Any], *, timeout_s: float = LONG_TIMEOUT_S) -> Any:
        """Ask for something to be done; asked once more, with the same key, when the connection is lost.

        The key lets the fleet give the answer of the first time instead of doing it twice. Raises ReadOnly, and what
        `_call` raises.
        """
        if self.readonly:
            raise ReadOnly("this console only looks", "attach without --readonly")
        headers = {"idempotency-key": uuid.uuid4().hex}
        try:
            return await self._call("POST", path, body, timeout_s=timeout_s, headers=headers)
        except _Cut:
            return await self._call("POST", path, body, timeout_s=timeout_s, headers=headers)

    async def _asked(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a question that has a body."""
        return cast("dict[str, Any]", await self._call("POST", path, body))

    async def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        timeout_s: float = ANSWER_TIMEOUT_S,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Exchange one request for one JSON answer. Raises what the fleet raised, NoFleet."""
        with self._clock.deadline(timeout_s):
            async with self._exchange(method, path, body, headers) as exchange:
                status = await exchange.head()
                return _answer(status, b"".join([piece async for piece in exchange.body()]))
        raise NoFleet(f"the fleet{self._who} did not answer within {timeout_s:g} s", "is its machine overloaded?")

    async def _stream(self, path: str, query: dict[str, Any]) -> AsyncGenerator[Any]:
        """Yield the JSON lines of an answer, heartbeats left out."""
        async with aclosing(self._lines("GET", f"{path}?{urlencode(query, doseq=True)}")) as lines:
            async for line in lines:
                yield line
        if "follow" in query:
            raise NoFleet(f"the fleet{self._who} has ended")

    async def _ordered(self, path: str, body: dict[str, Any]) -> AsyncGenerator[Any]:
        """Yield the JSON lines an order is answered with; asked once more when the connection is lost before their end.

        The lines then come from the beginning: the fleet must know the order again by what is in its body. Raises ReadOnly,
        and what `_call` raises.
        """
        if self.readonly:
            raise ReadOnly("this console only looks", "attach without --readonly")
        try:
            async with aclosing(self._lines("POST", path, body)) as lines:
                async for line in lines:
                    yield line
        except _Cut:
            async with aclosing(self._lines("POST", path, body)) as lines:
                async for line in lines:
                    yield line

    async def _lines(self, method: str, target: str, body: Any = None) -> AsyncGenerator[Any]:
        """Yield the JSON lines of one answer, heartbeats left out."""
        async with self._exchange(method, target, body) as exchange:
            status = await self._in_time(exchange.head())
            pieces, rest = exchange.body(), list[bytes]()
            if status != 200:
                _answer(status, b"".join([piece async for piece in pieces]))
            while (piece := await self._in_time(anext(pieces, None))) is not None:
                rest.append(piece)
                if b"\n" not in piece:
                    continue
                *lines, last = b"".join(rest).split(b"\n")
                rest = [last]
                for line in lines:
                    found = decoded(line)
                    if "heartbeat" not in found:
                        yield found

    async def _in_time(self, step: Any) -> Any:
        with self._clock.deadline(SILENCE_S):
            return await step
        raise NoFleet(f"the fleet{self._who} has fallen silent")

    def _marked(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        """Return the headers of a request; one that only looks says so."""
        return {**(headers or {}), **({"x-botdeck-readonly": "1"} if self.readonly else {})}

    @property
    def _who(self) -> str:
        return f" (pid {self._pid})" if self._pid else ""

    @asynccontextmanager
    async def _exchange(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[_Exchange]:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.socket))
        except OSError as error:
            raise NoFleet(
                f"the fleet{self._who} does not answer on {self.socket}: {error.strerror}",
                "is it just starting? has somebody deleted the socket?",
            ) from error
        try:
            exchange = _Exchange(reader, writer)
            await exchange.ask(method, target, body, self._marked(headers))
            yield exchange
        except (OSError, h11.RemoteProtocolError) as error:
            raise _Cut(f"the connection to the fleet{self._who} was lost", "look at its log") from error
        finally:
            writer.close()


class _Exchange:
    """One HTTP/1.1 request and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._wire = h11.Connection(h11.CLIENT)

    async def ask(self, method: str, target: str, body: Any = None, more: Mapping[str, str] | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        headers = [("host", "botdeck"), ("connection", "close"), ("content-length", str(len(content)))]
        headers += (more or {}).items()
        if content:
            headers.append(("content-type", "application/json"))
        request = h11.Request(method=method, target=target, headers=headers)
        events = (request, h11.Data(data=content), h11.EndOfMessage())
        self._writer.write(b"".join(self._wire.send(event) or b"" for event in events))
        await self._writer.drain()

    async def head(self) -> int:
        """Return the status code."""
        while not isinstance(event := await self._next(), h11.Response):
            pass
        return event.status_code

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the pieces of the answer."""
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    async def _next(self) -> Any:
        while (event := self._wire.next_event()) is h11.NEED_DATA:
            self._wire.receive_data(await self._reader.read(READ_BYTES))
        return event


def _answer(status: int, content: bytes) -> Any:
    """Return the JSON of a good answer; raise the error of a bad one."""
    try:
        answer = decoded(content)
    except ValueError:
        answer = None
    if status < 400 and answer is not None:
        return answer
    error: FleetError = RemoteFailure(f"the fleet answered {status}, which says nothing more", "look at its log")
    raise revived(answer) if isinstance(answer, dict) and "error" in answer else error
