"""What was said in a recording, by a server that speaks OpenAI's transcription API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from store.usage import Tokens
from workers.errors import ChannelUnreachable, MediaFailed, ProviderError, ProviderTimeout
from workers.http import BROKEN
from workers.llm.refusals import Refusals, of_network

if TYPE_CHECKING:
    from config.schema import VoiceSection
    from workers.clock import Clock
    from workers.http import Http

ROOT: Final = "https://api.openai.com/v1"
PROVIDER: Final = "voice"
"""The name transcriptions have in the usage."""

MAX_ANSWER_BYTES: Final = 1024 * 1024
MOST_TOKENS: Final = 10**9
ENDINGS: Final = {
    "audio/ogg": "ogg", "audio/mpeg": "mp3", "audio/mp4": "m4a", "audio/x-m4a": "m4a", "audio/wav": "wav",
    "audio/x-wav": "wav", "audio/webm": "webm", "audio/flac": "flac", "video/mp4": "mp4",
}  # fmt: skip
"""Types such a server takes, and what a file of it must be called: it goes by the name."""


async def transcribe(http: Http, clock: Clock, section: VoiceSection, data: bytes, mime: str) -> tuple[str, Tokens]:
    """Return what was said, and what the server counted for it. Raises MediaFailed, with the reason free of the key.

    Cancelling is safe.
    """
    began = clock.monotonic()
    key = section.api_key.reveal().strip() if section.api_key else ""
    refusals = Refusals(key, clean=http.clean)
    form = aiohttp.FormData()
    form.add_field("file", data, filename=f"voice.{ENDINGS.get(mime, 'ogg')}", content_type=mime or "audio/ogg")
    form.add_field("model", section.model)
    form.add_field("response_format", "json")
    if section.language:
        form.add_field("language", section.language)
    url = URL(f"{(section.base_url or ROOT).rstrip('/')}/audio/transcriptions")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    failure: ProviderError = ProviderTimeout(f"the transcription took longer than {section.timeout_s:g} s")
    try:
        with clock.deadline(section.timeout_s):
            response = await http.request("POST", url, data=form, headers=headers)
            try:
                answer = _answer_of(response, await _body_of(response), refusals, clock.now())
                took_ms = int((clock.monotonic() - began) * 1000)
                return answer["text"].strip(), _counted(section.model, answer.get("usage"), took_ms)
            finally:
                response.close()
    except ProviderError as error:
        failure = error
    except BROKEN as error:
        failure = of_network(error)
    except ChannelUnreachable as error:
        failure = ProviderError(error.message, error.hint)
    raise MediaFailed(
        "voice_failed", failure.message.replace("the model's server", "the server for voices"), failure.hint
    )


def _counted(model: str, usage: Any, took_ms: int) -> Tokens:
    """Return what was counted: tokens where the server counts in them; one that goes by the minute has none."""
    told = usage if isinstance(usage, dict) else {}
    given, made = (told.get(name) for name in ("input_tokens", "output_tokens"))
    return Tokens(PROVIDER, model, _count(given), _count(made), latency_ms=took_ms)


def _count(told: Any) -> int:
    return told if type(told) is int and 0 <= told < MOST_TOKENS else 0


def _answer_of(response: aiohttp.ClientResponse, raw: bytes, refusals: Refusals, now: float) -> dict[str, Any]:
    if not 200 <= response.status < 300:
        raise refusals.of_status(response.status, response.headers, raw, now)
    try:
        answer: Any = json.loads(raw)
    except (ValueError, RecursionError):
        answer = None
    text = answer.get("text") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(text, str):
        raise ProviderError("the model's server answered something else than a text")
    if not text.strip():
        raise ProviderError("nothing was to be heard")
    return answer


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise ProviderError(f"the model's server answered more than {MAX_ANSWER_BYTES} bytes")
    return b"".join(pieces)
