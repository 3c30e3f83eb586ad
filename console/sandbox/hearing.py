"""Transcription without a model: what was "said" are the bytes of the recording, read as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.web import FileField

from console.sandbox.answers import Refused, Reply, dump
from console.sandbox.faults import Faults
from console.sandbox.pulse import Pulse
from console.sandbox.strike import strike
from workers.clock import Clock

PATH: Final = "/v1/audio/transcriptions"
ENDINGS: Final = frozenset({"flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"})
"""Of the file names the API takes."""


@dataclass(frozen=True, slots=True)
class VoiceCall:
    """One recording as it arrived. authorization is the header's value."""

    model: str
    language: str
    name: str
    content_type: str
    data: bytes
    authorization: str


class Hearing:
    """The transcriptions of the model double; requests are "transcriptions" to its faults.

    hears says what is understood of a recording; by default its bytes are the words.
    """

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self.hears: Callable[[VoiceCall], str] = lambda call: call.data.decode("utf-8", "replace")
        self.calls: list[VoiceCall] = []
        self.news = Pulse()
        self._clock = clock
        self._faults = faults

    async def answer(self, request: web.BaseRequest, word: Callable[[Refused], Reply]) -> Reply | None:
        """Answer one request; word puts refusals into the server's form. None = the connection is gone. Raises Refused."""
        call = await _read(request)
        self.calls.append(call)
        self.news.beat()

        async def work() -> Reply:
            return Reply(200, dump({"text": self.hears(call)}).encode())

        fault = self._faults.take("transcriptions")
        return (
            await work() if fault is None else await strike(fault, request, "transcriptions", work, self._clock, word)
        )


async def _read(request: web.BaseRequest) -> VoiceCall:
    form = await request.post()
    file = form.get("file")
    if not isinstance(file, FileField):
        raise Refused(400, "Missing required parameter: 'file'.")
    if file.filename.rpartition(".")[2].lower() not in ENDINGS:
        raise Refused(400, f"Unrecognized file format. Supported formats: {sorted(ENDINGS)}")
    if not form.get("model"):
        raise Refused(400, "you must provide a model parameter")
    with file.file as recording:
        data = recording.read()
    return VoiceCall(
        str(form["model"]), str(form.get("language", "")), file.filename, file.content_type, data,
        request.headers.get("Authorization", ""),
    )  # fmt: skip
