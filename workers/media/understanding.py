"""Messages with files made into one question: pictures go along, voices and documents become text."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from workers.errors import ChannelError, MediaFailed
from workers.llm.base import Image
from workers.media.base import Read, Understood
from workers.media.documents import Documents, kind_of
from workers.media.keeping import forget, keep
from workers.media.voice import transcribe

if TYPE_CHECKING:
    from pathlib import Path

    from config.snapshot import BotSpec
    from store.usage import Tokens
    from workers.channels.base import Attachment, Channel, Incoming
    from workers.clock import Clock
    from workers.http import Http

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 20_000_000
"""Telegram gives bots no larger files."""

IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
"""Types of pictures every model that sees takes."""

MAX_IMAGES: Final = 10
"""Of an album; Telegram makes none larger."""

_SPOKEN: Final = frozenset({"voice", "audio", "video_note"})


class Media:
    """Understands what comes with messages, for every bot of a fleet. Bytes stay here for as long as a turn takes."""

    def __init__(self, http: Http, clock: Clock, root: Path | None = None) -> None:
        self._http = http
        self._clock = clock
        self._root = root
        self._documents = Documents(clock)

    async def understand(self, spec: BotSpec, channel: Channel, messages: Sequence[Incoming]) -> Understood:
        """Return what the model is to see of one message, or of the messages of an album.

        Where a bot cannot take a file, and nothing was written beside it, the answer is a refusal; where something was,
        the model is told of the file. Never raises but when cancelled, which is safe.
        """
        texts: list[str] = []
        images: list[Image] = []
        refusals: list[str] = []
        used: list[Tokens] = []
        left = spec.config.media.max_document_chars
        for message in messages:
            try:
                read = await self._read(spec, channel, message, max(left, 1))
            except MediaFailed as error:
                unasked = error.key in {
                    "unsupported_media",
                    "media_too_large",
                }  # what people send is no fault of anybody's
                level = logging.DEBUG if unasked else logging.WARNING
                logger.log(level, "a %s was not understood: %s", message.attachments[-1].kind, error)
                refusals.append(error.key)
                read = Read(_unread(message.attachments[-1], error.key))
            left -= len(read.text)
            texts += [part for part in (read.text, message.text) if part.strip()]
            if read.image is not None and len(images) < MAX_IMAGES:
                images.append(read.image)
            if read.used is not None:
                used.append(read.used)
        written = any(message.text.strip() for message in messages)
        if refusals and not written and len(refusals) == len(messages):
            return Understood("", refusal=refusals[0], used=tuple(used))
        return Understood("\n\n".join(texts), tuple(images), used=tuple(used))

    async def forget(self, bot_id: str, user_id: int | None) -> None:
        """Delete what was kept of what a person sent. Cancelling is safe."""
        if self._root is None or user_id is None:
            return
        try:
            await anyio.to_thread.run_sync(forget, self._root, bot_id, user_id)
        except OSError as error:
            logger.error("files that were to be deleted are still there: %s", error.strerror)  # noqa: TRY400

    async def _read(self, spec: BotSpec, channel: Channel, message: Incoming, characters: int) -> Read:
        """Understand the file of a message; a document's text up to so many characters. Raises MediaFailed."""
        if not message.attachments:
            return Read()
        config, attachment = spec.config, message.attachments[-1]
        if attachment.kind == "photo" or attachment.mime in IMAGES:
            return await self._picture(spec, channel, message)
        if attachment.kind in _SPOKEN:
            return await self._voice(spec, channel, message)
        kind = kind_of(attachment) if attachment.kind == "document" and config.media.documents else ""
        if not kind:
            raise MediaFailed("unsupported_media", f"this bot takes no {attachment.kind} {attachment.mime}".rstrip())
        data = await self._fetch(spec, channel, message, attachment, config.media.max_document_bytes)
        text = await self._documents.text_of(kind, data, characters)
        return Read(f"[document {attachment.name or kind}]\n{text}\n[end of the document]")

    async def _picture(self, spec: BotSpec, channel: Channel, message: Incoming) -> Read:
        config = spec.config
        if not (config.media.images and config.llm.images):
            raise MediaFailed("unsupported_media", "this bot's model sees no pictures")
        limit = config.media.max_image_bytes
        fitting = [size for size in message.attachments if size.size <= limit]
        if not fitting:
            raise MediaFailed("media_too_large", f"a picture has more than {limit} bytes")
        best = fitting[-1]
        data = await self._fetch(spec, channel, message, best, limit)
        return Read("[picture]", Image(_type_of(data), data))

    async def _voice(self, spec: BotSpec, channel: Channel, message: Incoming) -> Read:
        section, attachment = spec.config.voice, message.attachments[-1]
        if not section.model:
            raise MediaFailed("unsupported_media", "[voice] model is not set, so nothing that is spoken is understood")
        if attachment.duration_s > section.max_s:
            raise MediaFailed("media_too_large", f"a recording of {attachment.duration_s:.0f} s")
        data = await self._fetch(spec, channel, message, attachment, MOST_BYTES)
        heard, used = await transcribe(self._http, self._clock, section, data, attachment.mime)
        return Read(heard, used=used)

    async def _fetch(
        self, spec: BotSpec, channel: Channel, message: Incoming, attachment: Attachment, limit: int
    ) -> bytes:
        if attachment.size > limit:
            raise MediaFailed("media_too_large", f"{attachment.size} bytes, more than {limit}")
        try:
            data = await channel.download(attachment.file_id, limit)
        except ChannelError as error:
            raise MediaFailed(_failed_key(attachment), f"it could not be fetched: {error.message}") from None
        if spec.config.media.keep_media and self._root is not None:
            try:
                await keep(self._root, spec.bot_id, message, attachment, data)
            except OSError as error:
                logger.warning("a file that was to be kept could not be written: %s", error.strerror)
        return data


def _type_of(data: bytes) -> str:
    """Return the type of a picture by its bytes: what it is said to be is not trusted. Raises MediaFailed."""
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise MediaFailed("unsupported_media", "a picture of a kind no model sees")


_STARTS: Final = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


def _failed_key(attachment: Attachment) -> str:
    return "voice_failed" if attachment.kind in _SPOKEN else "document_failed"


def _unread(attachment: Attachment, key: str) -> str:
    """Tell the model of a file it does not get, so that its answer does not pretend."""
    name = f" {attachment.name}" if attachment.name else ""
    why = {"media_too_large": "too large", "unsupported_media": "of a kind you cannot see"}.get(key, "unreadable")
    return f"[{attachment.kind.replace('_', ' ')}{name}: {why}]"
