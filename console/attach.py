"""Control over the unix socket: what the command line and an attached console speak to.

Light on purpose: asyncio streams and h11, so that `botdeck status` answers before a web client is imported.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import h11

from config.errors import FleetError
from config.vocabulary import Phase
from console.control import API_VERSION, Action, EventLine, EventQuery, Info, LogLine, LogQuery, Outcome, Status
from console.errors import NoFleet, RemoteFailure, WrongVersion, revived
from console.lock import owner_of
from console.place import Place, socket_path
from workers.clock import Clock, SystemClock

ANSWER_TIMEOUT_S: Final = 30.0
"""How long an answer may take; what takes longer by nature (wait, backup, remove) brings its own limit."""
LONG_TIMEOUT_S: Final = 3600.0
SILENCE_S: Final = 20.0
"""A stream has a heartbeat every 5 s; one that is silent for this long is dead."""
READ_BYTES: Final = 65536


async def connect(place: Place, clock: Clock | None = None) -> RemoteControl:
    """Return a control of the fleet that runs at a place.

    Raises NoFleet when none runs or it does not answer, WrongVersion when it speaks another major version.
    """
    owner = owner_of(place.database)
    if owner is None:
        raise NoFleet(
            f"the fleet {place.name} does not run ({place.root})", f"start it with `botdeck run -C {place.root}`"
        )
    remote = RemoteControl(Path(owner.socket) if owner.socket else socket_path(place.database), clock, pid=owner.pid)
    await remote.shake_hands()
    return remote


class RemoteControl:
    """A Control of the fleet that serves a socket; every call has its own connection."""

    def __init__(self, socket: Path, clock: Clock | None = None, *, pid: int | None = None) -> None:
        self.socket = socket
        self._pid = pid
        self._clock = clock or SystemClock()

    async def shake_hands(self) -> Info:
        """Check that the fleet answers in a version we speak. Raises NoFleet, WrongVersion."""
        info = await self.info()
        if info["api"].partition(".")[0] != API_VERSION.partition(".")[0]:
            raise WrongVersion(
                f"the fleet (botdeck {info['version']}) speaks control {info['api']}, this program {API_VERSION}",
                "use the botdeck that started the fleet, or restart the fleet with this one",
            )
        return info

    async def info(self) -> Info:
        """As Control.info."""
        return cast("Info", await self._call("GET", "/v1/info"))

    async def status(self) -> Status:
        """As Control.status."""
        return cast("Status", await self._call("GET", "/v1/bots"))

    async def bot(self, bot_id: str) -> dict[str, Any]:
        """As Control.bot."""
        return cast("dict[str, Any]", await self._call("GET", f"/v1/bots/{_part(bot_id)}"))

    async def steer(self, action: Action, selectors: Sequence[str], *, actor: str, reason: str = "") -> list[Outcome]:
        """As Control.steer."""
        body = {"selectors": list(selectors), "actor": actor, "reason": reason}
        answer = await self._call("POST", f"/v1/actions/{action.value}", body, timeout_s=LONG_TIMEOUT_S)
        return cast("list[Outcome]", answer["outcomes"])

    async def wait(
        self, bot_ids: Sequence[str], phases: Collection[Phase], *, timeout_s: float, since: float = 0.0
    ) -> list[str]:
        """As Control.wait."""
        body = {"bot_ids": list(bot_ids), "phases": [str(p) for p in phases], "timeout_s": timeout_s, "since": since}
        answer = await self._call("POST", "/v1/wait", body, timeout_s=timeout_s + ANSWER_TIMEOUT_S)
        return cast("list[str]", answer["missing"])

    async def reload(self, *, actor: str) -> dict[str, Any]:
        """As Control.reload."""
        return cast("dict[str, Any]", await self._call("POST", "/v1/reload", {"actor": actor}))

    async def config_show(self, bot_id: str) -> dict[str, Any]:
        """As Control.config_show."""
        return cast("dict[str, Any]", await self._call("GET", f"/v1/bots/{_part(bot_id)}/config"))

    async def check(self) -> dict[str, Any]:
        """As Control.check."""
        return cast("dict[str, Any]", await self._call("GET", "/v1/check"))

    async def logs(self, query: LogQuery) -> list[LogLine]:
        """As Control.logs."""
        return cast("list[LogLine]", [line async for line in self._stream("/v1/logs", asdict(query))])

    async def follow_logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """As Control.follow_logs. Raises NoFleet when the fleet ends or falls silent."""
        async with aclosing(self._stream("/v1/logs", asdict(query) | {"follow": "true"})) as lines:
            async for line in lines:
                yield cast("LogLine", line)

    async def events(self, query: EventQuery) -> list[EventLine]:
        """As Control.events."""
        return cast("list[EventLine]", [line async for line in self._stream("/v1/events", asdict(query))])

    async def follow_events(self, query: EventQuery) -> AsyncIterator[EventLine]:
        """As Control.follow_events. Raises NoFleet when the fleet ends or falls silent."""
        async with aclosing(self._stream("/v1/events", asdict(query) | {"follow": "true"})) as lines:
            async for line in lines:
                yield cast("EventLine", line)

    async def backup(self, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """As Control.backup."""
        return await self._file("/v1/backup", {"target": str(target), "overwrite": overwrite})

    async def export_bot(self, bot_id: str, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """As Control.export_bot."""
        return await self._file(f"/v1/bots/{_part(bot_id)}/export", {"target": str(target), "overwrite": overwrite})

    async def import_bot(self, source: Path, bot_id: str | None = None, *, actor: str) -> dict[str, Any]:
        """As Control.import_bot."""
        return await self._file("/v1/import", {"source": str(source), "bot_id": bot_id, "actor": actor})

    async def remove_bot(self, bot_id: str, *, actor: str) -> dict[str, Any]:
        """As Control.remove_bot."""
        return await self._file(f"/v1/bots/{_part(bot_id)}/remove", {"actor": actor})

    async def _file(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", await self._call("POST", path, body, timeout_s=LONG_TIMEOUT_S))

    async def _call(self, method: str, path: str, body: Any = None, *, timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
        """Exchange one request for one JSON answer. Raises what the fleet raised, NoFleet."""
        with self._clock.deadline(timeout_s):
            async with self._exchange(method, path, body) as exchange:
                status = await exchange.head()
                return _answer(status, b"".join([piece async for piece in exchange.body()]))
        raise NoFleet(f"the fleet{self._who} did not answer within {timeout_s:g} s", "is its machine overloaded?")

    async def _stream(self, path: str, query: dict[str, Any]) -> AsyncGenerator[Any]:
        """Yield the JSON lines of an answer, heartbeats left out."""
        target = f"{path}?{urlencode(query, doseq=True)}"
        async with self._exchange("GET", target) as exchange:
            status = await self._in_time(exchange.head())
            pieces, rest = exchange.body(), b""
            if status != 200:
                _answer(status, b"".join([piece async for piece in pieces]))
            while (piece := await self._in_time(anext(pieces, None))) is not None:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    found = json.loads(line)
                    if "heartbeat" not in found:
                        yield found
        if "follow" in query:
            raise NoFleet(f"the fleet{self._who} has ended")

    async def _in_time(self, step: Any) -> Any:
        with self._clock.deadline(SILENCE_S):
            return await step
        raise NoFleet(f"the fleet{self._who} has fallen silent")

    @property
    def _who(self) -> str:
        return f" (pid {self._pid})" if self._pid else ""

    @asynccontextmanager
    async def _exchange(self, method: str, target: str, body: Any = None) -> AsyncIterator[_Exchange]:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.socket))
        except OSError as error:
            raise NoFleet(
                f"the fleet{self._who} does not answer on {self.socket}: {error.strerror}",
                "is it just starting? has somebody deleted the socket?",
            ) from error
        try:
            exchange = _Exchange(reader, writer)
            await exchange.ask(method, target, body)
            yield exchange
        except (OSError, h11.RemoteProtocolError) as error:
            raise NoFleet(f"the connection to the fleet{self._who} was lost", "look at its log") from error
        finally:
            writer.close()


class _Exchange:
    """One HTTP/1.1 request and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._wire = h11.Connection(h11.CLIENT)

    async def ask(self, method: str, target: str, body: Any = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        headers = [("host", "botdeck"), ("connection", "close"), ("content-length", str(len(content)))]
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
        answer = json.loads(content)
    except ValueError:
        answer = None
    if status < 400 and answer is not None:
        return answer
    error: FleetError = RemoteFailure(f"the fleet answered {status}, which says nothing more", "look at its log")
    raise revived(answer) if isinstance(answer, dict) and "error" in answer else error


def _part(text: str) -> str:
    return quote(text, safe="")
