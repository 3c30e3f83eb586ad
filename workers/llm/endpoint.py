"""A model's HTTP endpoint: one call there and its answer back, whole or as a stream, with every wait bounded."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

import aiohttp
from yarl import URL

from config.providers import ROOTS
from workers.errors import AnswerUnusable, ChannelUnreachable, ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.http import BROKEN, LARGE_BYTES
from workers.llm.base import Chunk, Completion, CompletionRequest
from workers.llm.pictures import Body
from workers.llm.refusals import Refusals, of_network
from workers.llm.sse import EventReader
from workers.logbook import current_bot

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.http import Http

T = TypeVar("T")

MAX_BODY_BYTES: Final = 1024 * 1024
"""Of one answer, its reasoning included: some 200,000 tokens."""

LARGE_AT_ONCE: Final = 2
"""Answers beyond LARGE_BYTES, or LARGE_TEXT, that are read on at once for one bot: as much as comes in one turn of the loop,
and as much as lies in memory, is bounded by it. The others wait on the wire."""

LARGE_TEXT: Final = 256 * 1024
"""Characters of a stream. Far more than any chat is told, and than a model thinks before it answers."""

MAX_REFUSAL_BYTES: Final = 64 * 1024
LAST_S: Final = 0.25
"""How long the end of a finished stream is waited for, so that its connection can be used again."""


class Gatherer(Protocol):
    """What a stream has said so far. `begun` once a first token came, `done` once the server has said that this was all."""

    begun: bool
    done: bool

    @property
    def size(self) -> int:
        """Return how many characters came so far."""
        ...

    def add(self, data: bytes) -> str:
        """Take one event's data, return the text it brought. Raises ProviderError."""
        ...

    def completion(self) -> Completion:
        """Return the whole answer. Raises ProviderError when the stream ended early or said nothing."""
        ...


GATHER_S: Final = 0.25
"""In the loop's own time: what comes is read later, and nobody waits for it."""


class Endpoint:
    """A thin client over the fleet's one HTTP session; it holds no connection and no state of any bot.

    A provider says where (`name`, `path`), with which headers, and how requests and answers are written. Raises
    ProviderRefused for an address or a key that cannot be used.
    """

    name: ClassVar[str]
    path: ClassVar[str]

    def __init__(self, config: LlmSection, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._large = WeakValueDictionary[str, asyncio.Semaphore]()
        """By bot: many have the same endpoint."""
        root = config.base_url or ROOTS[self.name]
        self._url = _url(root, self.path)
        address = urlsplit(root)
        key = config.api_key.reveal().strip() if config.api_key else ""
        if not key.isprintable():
            raise ProviderRefused("[llm] api_key holds a control character", "copy it again")
        if key and address.username is not None:
            raise ProviderRefused("[llm] has an api_key and a user name in its base_url", "keep one of them")
        self._headers = {"Content-Type": "application/json", **self._own_headers(key)}
        self._refusals = Refusals(key, unquote(address.password or ""), clean=http.clean)

    @abstractmethod
    def _own_headers(self, key: str) -> dict[str, str]:
        """Return the headers a provider wants beside the content type; key "" = there is none."""

    @abstractmethod
    def _written(self, request: CompletionRequest, *, stream: bool) -> dict[str, Any]:
        """Return the request as this API wants it, with PLACE (`pictures.py`) for the base64 text of each picture."""

    @abstractmethod
    def _read(self, raw: bytes, model: str) -> Completion:
        """Read a whole answer. Raises ProviderError."""

    @abstractmethod
    def _gathering(self, model: str) -> Gatherer:
        """Return what reads one stream."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer."""
        raw = await self._within(request, request.timeout_s, self._whole(request))
        if len(raw) <= LARGE_BYTES:
            return _useful(self._read(raw, request.model), request)
        async with self._http.large:
            return _useful(self._read(raw, request.model), request)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """Ask for an answer piece by piece; an answer cut off or garbled on its way is a failure."""
        began = self._clock.monotonic()
        ends, first_s = began + request.timeout_s, request.first_token_timeout_s
        first_ends = ends if first_s is None else min(ends, began + first_s)
        response = await self._within(request, first_ends - began, self._opened(request, stream=True), first=True)
        with ExitStack() as held:
            held.callback(response.close)
            if "json" in response.headers.get("Content-Type", ""):  # a server that does not stream
                left_s = ends - self._clock.monotonic()
                raw = await self._within(request, left_s, self._all_of(response))
                completion = _useful(self._read(raw, request.model), request)
                if completion.text:
                    yield Chunk(completion.text)
            else:
                gathering, reader, piece = self._gathering(request.model), EventReader(), b"\n"
                pauses, place = _Pauses(), None
                while piece and not gathering.done:
                    # Each wait has a limit of its own: one around all of them would be entered and left by whatever
                    # tasks take and drop the pieces, which a cancel scope does not allow.
                    left_s = (ends if gathering.begun else first_ends) - self._clock.monotonic()
                    piece = await self._within(request, left_s, response.content.readany(), first=not gathering.begun)
                    if place is None and (len(piece) > LARGE_BYTES or gathering.size > LARGE_TEXT):
                        place = self._place_of_bot()
                        await self._within(request, ends - self._clock.monotonic(), place.acquire())
                        held.callback(place.release)
                    text = await self._gathered(gathering, reader, piece)
                    if text:
                        yield Chunk(text)
                    if gathering.begun and not gathering.done:
                        pauses.begin(response)
                completion = _useful(gathering.completion(), request)
                await self._let_end(response)
        yield Chunk(completion=completion)

    async def _gathered(self, gathering: Gatherer, reader: EventReader, piece: bytes) -> str:
        """Return the text of what came, b"" being the end; pieces larger than a model writes are read one by one."""
        if len(piece) <= LARGE_BYTES:
            return "".join(map(gathering.add, reader.feed(piece) if piece else reader.end()))
        async with self._http.large:
            return "".join(map(gathering.add, reader.feed(piece)))

    async def _within(
        self, request: CompletionRequest, limit_s: float, waiting: Awaitable[T], *, first: bool = False
    ) -> T:
        """Wait for a step of the call; whatever goes wrong on the way becomes a ProviderError here."""
        try:
            with self._clock.deadline(limit_s):
                return await waiting
        except BROKEN as error:
            raise of_network(error) from None
        except ChannelUnreachable as error:
            raise ProviderUnavailable(error.message, error.hint) from None
        raise _too_slow(request, limit_s, first=first)

    async def _whole(self, request: CompletionRequest) -> bytes:
        response = await self._opened(request, stream=False)
        try:
            return await self._all_of(response)
        finally:
            response.close()

    async def _all_of(self, response: aiohttp.ClientResponse) -> bytes:
        """Read an answer to its end. Raises AnswerUnusable for one that is too long."""
        raw = await _beginning_of(response, LARGE_BYTES)
        if len(raw) > LARGE_BYTES:
            async with self._place_of_bot():
                raw += await _beginning_of(response, MAX_BODY_BYTES - len(raw))
        if len(raw) > MAX_BODY_BYTES:
            raise AnswerUnusable(f"the model's server answered more than {MAX_BODY_BYTES} bytes")
        return raw

    def _place_of_bot(self) -> asyncio.Semaphore:
        """Return what is entered to read a large answer on."""
        place = self._large.get(current_bot.get())
        if place is None:
            place = self._large[current_bot.get()] = asyncio.Semaphore(LARGE_AT_ONCE)
        return place

    async def _opened(self, request: CompletionRequest, *, stream: bool) -> aiohttp.ClientResponse:
        """Send the request; return the response, which the caller closes, or raise what its status says."""
        body = self._body(request, stream=stream)
        headers = {**self._headers, "Content-Length": str(body.size_bytes)}
        response = await self._http.request("POST", self._url, data=body.sent(), headers=headers)
        if 200 <= response.status < 300:
            return response
        try:
            raw = await _beginning_of(response, MAX_REFUSAL_BYTES)
        finally:
            response.close()
        raise self._refusals.of_status(response.status, response.headers, raw, self._clock.now())

    def _body(self, request: CompletionRequest, *, stream: bool) -> Body:
        try:
            text = json.dumps(self._written(request, stream=stream), allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise ProviderRefused(
                f"[llm.options] cannot be sent: {error}", "use text, numbers, lists, tables"
            ) from None
        return Body(text, [image for message in request.messages for image in message.images])

    async def _let_end(self, response: aiohttp.ClientResponse) -> None:
        """Wait a moment for the end of a stream that has said all: only then its connection can be used again."""
        if response.content.at_eof():
            return
        with self._clock.deadline(LAST_S):
            try:
                while await response.content.readany():
                    pass
            except BROKEN:
                return  # the answer is whole; how its connection ends is no matter


def _url(root: str, path: str) -> URL:
    try:
        return URL(root.rstrip("/") + path)
    except ValueError:
        raise ProviderRefused("the address of the model's server is not usable", "check [llm] base_url") from None


def _too_slow(request: CompletionRequest, limit_s: float, *, first: bool) -> ProviderTimeout:
    """Word which of the two limits a call ran into."""
    first_s = request.first_token_timeout_s
    if first and first_s is not None and first_s < request.timeout_s and limit_s <= first_s:
        return ProviderTimeout(f"the model said nothing within {first_s:g} s")
    return ProviderTimeout(f"the model took longer than {request.timeout_s:g} s")


def _useful(completion: Completion, request: CompletionRequest) -> Completion:
    """Return an answer with those calls only that were asked for. Raises AnswerUnusable when nothing is left."""
    if not completion.tool_calls or request.tools:
        return completion
    if not completion.text.strip():
        raise AnswerUnusable("the model only called tools, of which it was offered none")
    return Completion(completion.text, completion.usage, completion.model, completion.finish_reason)


class _Pauses:
    """Lets pieces of a stream come together at the other end of its connection for GATHER_S, to be read in one go.

    Fifty tokens a second, each read by itself, cost several times what they cost so; people are shown a frame a second.
    """

    __slots__ = ("_over",)

    def __init__(self) -> None:
        self._over: asyncio.TimerHandle | None = None

    def begin(self, response: aiohttp.ClientResponse) -> None:
        """Read nothing for a while; whoever waits for a piece goes on waiting."""
        if self._over is not None:
            self._over.cancel()
        protocol = response.connection.protocol if response.connection is not None else None
        if protocol is not None:
            protocol.pause_reading()
            self._over = asyncio.get_running_loop().call_later(GATHER_S, protocol.resume_reading)


async def _beginning_of(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body to its end, or until more than limit bytes of it are there."""
    pieces, size = [], 0
    while size <= limit and (piece := await response.content.readany()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
