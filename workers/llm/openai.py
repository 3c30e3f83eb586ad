"""Any server that speaks OpenAI's chat completions: OpenAI, OpenRouter, Ollama, vLLM, llama.cpp and many more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from workers.errors import ChannelUnreachable, ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.http import BROKEN, LARGE_BYTES
from workers.llm.base import Chunk, Completion, CompletionRequest
from workers.llm.completions import Gathering, read_whole
from workers.llm.refusals import Refusals, of_network
from workers.llm.sse import EventReader

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.http import Http

T = TypeVar("T")

MAX_BODY_BYTES: Final = 1024 * 1024
"""Of one answer, its reasoning included: some 200,000 tokens."""

LARGE_AT_ONCE: Final = 4
"""Answers beyond LARGE_BYTES that are read at once for one bot: as much as comes in one turn of the loop, and as much as
lies in memory, is bounded by it. The others wait on the wire."""

MAX_REFUSAL_BYTES: Final = 64 * 1024
LAST_S: Final = 0.25
"""How long the end of a finished stream is waited for, so that its connection can be used again."""

_LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})


class OpenAIProvider:
    """A thin client over the fleet's one HTTP session. It holds no connection and no state of any bot.

    `[llm.options]` go into the request as they are; they cannot replace the messages, the model or the form of the
    answer. max_tokens or max_completion_tokens there replaces max_output_tokens; stream_options = false leaves those
    out for a server that does not know them. Raises ProviderRefused for a key that cannot be sent.
    """

    def __init__(self, config: LlmSection, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._url = _url(config.base_url)
        address = urlsplit(config.base_url)
        # OpenAI's own newer models refuse max_tokens, most other servers know nothing else.
        self._limit_name = "max_completion_tokens" if address.hostname == "api.openai.com" else "max_tokens"
        key = config.api_key.reveal().strip() if config.api_key else ""
        if not key.isprintable():
            raise ProviderRefused("[llm] api_key holds a control character", "copy it again")
        if key and address.username is not None:
            raise ProviderRefused("[llm] has an api_key and a user name in its base_url", "keep one of them")
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._refusals = Refusals(key, unquote(address.password or ""))

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer."""
        raw = await self._within(request, request.timeout_s, self._whole(request))
        if len(raw) <= LARGE_BYTES:
            return read_whole(raw, request.model, self._refusals)
        async with self._http.large:
            return read_whole(raw, request.model, self._refusals)

    async def stream(self, request: CompletionRequest) -> AsyncIterator[Chunk]:
        """Ask for an answer piece by piece; an answer cut off or garbled on its way is a failure."""
        ends = self._clock.monotonic() + request.timeout_s
        response = await self._within(request, request.timeout_s, self._opened(request, stream=True))
        try:
            if "json" in response.headers.get("Content-Type", ""):  # a server that does not stream
                left_s = ends - self._clock.monotonic()
                raw = await self._within(request, left_s, self._all_of(response))
                completion = read_whole(raw, request.model, self._refusals)
                yield Chunk(completion.text)
            else:
                gathering, reader, piece = Gathering(request.model, self._refusals), EventReader(), b"\n"
                while piece and not gathering.done:
                    # Each wait has a limit of its own: one around all of them would be entered and left by whatever
                    # tasks take and drop the pieces, which a cancel scope does not allow.
                    left_s = ends - self._clock.monotonic()
                    piece = await self._within(request, left_s, response.content.readany())
                    for data in reader.feed(piece) if piece else reader.end():
                        text = gathering.add(data)
                        if text:
                            yield Chunk(text)
                completion = gathering.completion()
                await self._let_end(response)
        finally:
            response.close()
        yield Chunk(completion=completion)

    async def _within(self, request: CompletionRequest, limit_s: float, waiting: Awaitable[T]) -> T:
        """Wait for a step of the call; whatever goes wrong on the way becomes a ProviderError here."""
        try:
            with self._clock.deadline(limit_s):
                return await waiting
        except BROKEN as error:
            raise of_network(error) from None
        except ChannelUnreachable as error:
            raise ProviderUnavailable(error.message, error.hint) from None
        raise ProviderTimeout(f"the model took longer than {request.timeout_s:g} s")

    async def _whole(self, request: CompletionRequest) -> bytes:
        response = await self._opened(request, stream=False)
        try:
            return await self._all_of(response)
        finally:
            response.close()

    async def _all_of(self, response: aiohttp.ClientResponse) -> bytes:
        """Read an answer to its end. Raises ProviderUnavailable for one that is too long."""
        raw = await _beginning_of(response, LARGE_BYTES)
        if len(raw) > LARGE_BYTES:
            async with self._large:
                raw += await _beginning_of(response, MAX_BODY_BYTES - len(raw))
        if len(raw) > MAX_BODY_BYTES:
            raise ProviderUnavailable(f"the model's server answered more than {MAX_BODY_BYTES} bytes")
        return raw

    async def _opened(self, request: CompletionRequest, *, stream: bool) -> aiohttp.ClientResponse:
        """Send the request; return the response, which the caller closes, or raise what its status says."""
        body = self._body(request, stream=stream)
        response = await self._http.request("POST", self._url, data=body, headers=self._headers)
        if 200 <= response.status < 300:
            return response
        try:
            raw = await _beginning_of(response, MAX_REFUSAL_BYTES)
        finally:
            response.close()
        raise self._refusals.of_status(response.status, response.headers, raw, self._clock.now())

    def _body(self, request: CompletionRequest, *, stream: bool) -> bytes:
        body: dict[str, Any] = dict(request.options)
        if request.temperature is not None:
            body.setdefault("temperature", request.temperature)
        if request.max_output_tokens is not None and not _LIMITS & body.keys():
            body[self._limit_name] = request.max_output_tokens
        body["model"] = request.model
        body["messages"] = [{"role": m.role, "content": m.content} for m in request.messages]
        told = body.pop("stream_options", {"include_usage": True})
        body.pop("stream", None)
        if stream:
            body |= {"stream": True, "stream_options": told} if told else {"stream": True}
        try:
            return json.dumps(body, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise ProviderRefused(
                f"[llm.options] cannot be sent: {error}", "use text, numbers, lists, tables"
            ) from None

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


def _url(base_url: str) -> URL:
    try:
        return URL(base_url.rstrip("/") + "/chat/completions")
    except ValueError:
        raise ProviderRefused("the address of the model's server is not usable", "check [llm] base_url") from None


async def _beginning_of(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body to its end, or until more than limit bytes of it are there."""
    pieces, size = [], 0
    while size <= limit and (piece := await response.content.readany()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
