"""Any server that speaks OpenAI's chat completions: OpenAI, OpenRouter, Ollama, vLLM, llama.cpp and many more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp

from workers.errors import ChannelUnreachable, ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.llm.base import Chunk, Completion, CompletionRequest
from workers.llm.completions import Gathering, read_whole
from workers.llm.refusals import Refusals, of_network
from workers.llm.sse import EventReader

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.http import Http

T = TypeVar("T")

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
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
        self._url = config.base_url.rstrip("/") + "/chat/completions"
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
        self._refusals = Refusals(key)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer."""
        raw = await self._within(request, request.timeout_s, self._whole(request))
        return read_whole(raw, request.model, self._refusals)

    async def stream(self, request: CompletionRequest) -> AsyncIterator[Chunk]:
        """Ask for an answer piece by piece; an answer cut off or garbled on its way is a failure."""
        ends = self._clock.monotonic() + request.timeout_s
        response = await self._within(request, request.timeout_s, self._opened(request, stream=True))
        try:
            if "json" in response.headers.get("Content-Type", ""):  # a server that does not stream
                left_s = ends - self._clock.monotonic()
                raw = await self._within(request, left_s, _all_of(response, MAX_BODY_BYTES))
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
        except (aiohttp.ClientError, OSError) as error:
            raise of_network(error) from None
        except ChannelUnreachable as error:
            raise ProviderUnavailable(error.message, error.hint) from None
        raise ProviderTimeout(f"the model took longer than {request.timeout_s:g} s")

    async def _whole(self, request: CompletionRequest) -> bytes:
        response = await self._opened(request, stream=False)
        try:
            return await _all_of(response, MAX_BODY_BYTES)
        finally:
            response.close()

    async def _opened(self, request: CompletionRequest, *, stream: bool) -> aiohttp.ClientResponse:
        """Send the request; return the response, which the caller closes, or raise what its status says."""
        response = await self._http.session.post(
            self._url, data=self._body(request, stream=stream), headers=self._headers, allow_redirects=False
        )
        if 200 <= response.status < 300:
            return response
        try:
            raw = await _all_of(response, MAX_REFUSAL_BYTES, cut=True)
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
            except (aiohttp.ClientError, OSError):
                return  # the answer is whole; how its connection ends is no matter


async def _all_of(response: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> bytes:
    """Read a body to its end. Beyond limit bytes it is cut, or ProviderUnavailable is raised."""
    pieces, size = [], 0
    while piece := await response.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            if cut:
                break
            raise ProviderUnavailable(f"the model's server answered more than {limit} bytes")
    return b"".join(pieces)
