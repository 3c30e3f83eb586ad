"""Any server that speaks OpenAI's chat completions: OpenAI, OpenRouter, Ollama, vLLM, llama.cpp and many more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from workers.errors import ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.llm.base import Chunk, Completion, CompletionRequest, Usage
from workers.llm.sse import EventReader

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.http import Http

WORTH_ANOTHER_TRY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
QUOTED: Final = 300
"""Characters of a server's error text that are passed on."""


class OpenAIProvider:
    """A thin client over the fleet's one HTTP session. It holds no connection and no state of any bot."""

    def __init__(self, config: LlmSection, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._url = config.base_url.rstrip("/") + "/chat/completions"
        self._headers = {"Content-Type": "application/json"}
        if config.api_key:
            self._headers["Authorization"] = f"Bearer {config.api_key.reveal()}"
        self._key = config.api_key.reveal() if config.api_key else ""
        # OpenAI's own newer models refuse max_tokens, most other servers know nothing else.
        self._limit_name = "max_completion_tokens" if "api.openai.com" in config.base_url else "max_tokens"

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer."""
        async with self._asked(request, stream=False) as response:
            raw = await response.content.read(MAX_BODY_BYTES)
        return _completion(_parsed(raw), request.model)

    async def stream(self, request: CompletionRequest) -> AsyncIterator[Chunk]:
        """Ask for an answer piece by piece; an answer cut off or garbled on its way is a failure."""
        gathering = _Gathering(request.model)
        reader = EventReader()
        async with self._asked(request, stream=True) as response:
            if "event-stream" not in response.headers.get("Content-Type", ""):
                completion = _completion(_parsed(await response.content.read(MAX_BODY_BYTES)), request.model)
                yield Chunk(completion.text)
                yield Chunk(completion=completion)
                return
            async for piece in response.content.iter_any():
                for data in reader.feed(piece):
                    text = gathering.add(data)
                    if text:
                        yield Chunk(text)
            for data in reader.end():
                text = gathering.add(data)
                if text:
                    yield Chunk(text)
        yield Chunk(completion=gathering.completion())

    @asynccontextmanager
    async def _asked(self, request: CompletionRequest, *, stream: bool) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send the request and check the status; every fault of the way becomes a ProviderError here."""
        try:
            with self._clock.deadline(request.timeout_s) as scope:
                async with self._http.session.post(
                    self._url, data=self._body(request, stream=stream), headers=self._headers
                ) as response:
                    if response.status != 200:
                        raise await self._refusal(response)
                    yield response
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderUnavailable(f"the model's server cannot be reached: {_short(error)}") from None
        if scope.cancelled_caught:
            raise ProviderTimeout(f"the model took longer than {request.timeout_s:g} s")

    def _body(self, request: CompletionRequest, *, stream: bool) -> bytes:
        body: dict[str, Any] = dict(request.options)
        if request.temperature is not None:
            body.setdefault("temperature", request.temperature)
        if request.max_output_tokens is not None and "max_tokens" not in body:
            body.setdefault(self._limit_name, request.max_output_tokens)
        body["model"] = request.model
        body["messages"] = [{"role": m.role, "content": m.content} for m in request.messages]
        if stream:
            body["stream"] = True
            body.setdefault("stream_options", {"include_usage": True})
        return json.dumps(body).encode()

    async def _refusal(self, response: aiohttp.ClientResponse) -> ProviderError:
        raw = await response.content.read(64 * 1024)
        said = self._without_key(_error_text(raw))
        text = f"the model's server answered {response.status}{f': {said}' if said else ''}"
        if response.status in WORTH_ANOTHER_TRY:
            return ProviderUnavailable(text, retry_after_s=_retry_after_s(response.headers))
        hints = {401: "check [llm] api_key", 403: "check [llm] api_key", 404: "check [llm] model and base_url"}
        return ProviderRefused(text, hints.get(response.status, ""))

    def _without_key(self, text: str) -> str:
        """Servers like to quote the key they refuse."""
        return text.replace(self._key, "••••••") if self._key else text


class _Gathering:
    """What a stream has said so far."""

    def __init__(self, model: str) -> None:
        self._texts: list[str] = []
        self._model = model
        self._usage = Usage()
        self._finish = ""
        self._done = False

    def add(self, data: bytes) -> str:
        """Take one event's data; return the text it brought. Raises ProviderUnavailable when it is garbled."""
        if data.strip() == b"[DONE]":
            self._done = True
            return ""
        chunk = _parsed(data)
        if chunk.get("error"):
            raise ProviderUnavailable(f"the model's server broke off: {_error_text(data)}")
        if chunk.get("usage"):
            self._usage = _usage(chunk["usage"])
        choices = chunk.get("choices")
        if not choices:
            return ""
        return self._take(_first(choices), chunk)

    def _take(self, choice: dict[str, Any], chunk: dict[str, Any]) -> str:
        self._model = chunk.get("model") or self._model
        self._finish = choice.get("finish_reason") or self._finish
        delta = choice.get("delta")
        text = (delta.get("content") or delta.get("refusal") or "") if isinstance(delta, dict) else ""
        if text:
            self._texts.append(text)
        return str(text)

    def completion(self) -> Completion:
        """Return the whole answer. Raises ProviderUnavailable when the stream ended early or said nothing."""
        if not self._done and not self._finish:
            raise ProviderUnavailable("the model's answer was cut off")
        text = "".join(self._texts)
        if not text.strip():
            raise ProviderUnavailable(f"the model answered nothing (finish_reason {self._finish or 'unknown'})")
        return Completion(text, self._usage, self._model, self._finish or "stop")


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(raw)
    except ValueError:
        raise ProviderUnavailable("the model's server answered what is not JSON") from None
    if not isinstance(parsed, dict):
        raise ProviderUnavailable("the model's server answered JSON of another shape")
    return parsed


def _first(choices: Any) -> dict[str, Any]:
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise ProviderUnavailable("the model's server answered JSON of another shape")
    return choices[0]


def _completion(body: dict[str, Any], model: str) -> Completion:
    """Return a whole answer's text and usage. Raises ProviderUnavailable when it holds none."""
    if body.get("error"):
        raise ProviderUnavailable(f"the model's server failed: {_error_text(json.dumps(body).encode())}")
    choice = _first(body.get("choices") or [None])
    message = choice.get("message")
    text = (message.get("content") or message.get("refusal") or "") if isinstance(message, dict) else ""
    finish = str(choice.get("finish_reason") or "stop")
    if not isinstance(text, str) or not text.strip():
        raise ProviderUnavailable(f"the model answered nothing (finish_reason {finish})")
    return Completion(text, _usage(body.get("usage")), str(body.get("model") or model), finish)


def _usage(said: Any) -> Usage:
    if not isinstance(said, dict):
        return Usage()
    details = said.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(_count(said.get("prompt_tokens")), _count(said.get("completion_tokens")), _count(cached))


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0


def _error_text(raw: bytes) -> str:
    """Return what a server says is wrong, on one line, in at most QUOTED characters."""
    try:
        said = json.loads(raw)
        said = said.get("error", said) if isinstance(said, dict) else said
        said = said.get("message", said) if isinstance(said, dict) else said
    except ValueError:
        said = raw.decode("utf-8", "replace")
    return " ".join(str(said).split())[:QUOTED]


def _retry_after_s(headers: Any) -> float | None:
    """Return how long the server asks to wait; seconds only, a date would need two clocks to agree."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * scale)
        except (KeyError, ValueError):
            continue
    return None


def _short(error: Exception) -> str:
    """Return an error's kind and text without the request it happened to, whose URL may hold a key."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host}:{error.port} ({error.os_error.strerror or error.os_error})"
    return type(error).__name__
