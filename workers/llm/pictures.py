"""A request with pictures: their base64 text is made as it leaves, a slice at a time, for ten megabytes at once would
stop every bot.
"""

from __future__ import annotations

import binascii
import secrets
from collections.abc import Iterator, Sequence
from typing import Final, Self

import anyio.lowlevel

from workers.llm.base import Image

PLACE: Final = f"picture-{secrets.token_hex(16)}"
"""Stands in a request for the base64 text of its next picture. It never leaves, so nobody can write it."""

SLICE_BYTES: Final = 96 * 1024
"""Of a picture, made into text at once; a multiple of 3, so that slices join without padding. Takes a tenth of a
millisecond or two."""

SMALL_BYTES: Final = 64 * 1024
"""A body up to this is sent in one go."""


class Body:
    """A request as it goes over the wire: JSON, in which each PLACE stands for a picture, in order."""

    __slots__ = ("_images", "_texts", "size_bytes")

    def __init__(self, text: bytes, images: Sequence[Image] = ()) -> None:
        self._images = images
        self._texts = text.split(PLACE.encode()) if images else [text]
        assert len(self._texts) == len(images) + 1, "each picture has its place in the request"
        self.size_bytes = sum(map(len, self._texts)) + sum(_encoded_size(len(image.data)) for image in images)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body; no piece of a picture takes long to be made."""
        yield self._texts[0]
        for image, text in zip(self._images, self._texts[1:], strict=True):
            data = memoryview(image.data)
            for start in range(0, len(data), SLICE_BYTES):
                yield binascii.b2a_base64(data[start : start + SLICE_BYTES], newline=False)
            yield text

    def sent(self) -> bytes | Flow:
        """Return what is given to the HTTP client: made anew for each try. A Flow needs its length told beside it."""
        return b"".join(self.pieces()) if self.size_bytes <= SMALL_BYTES or not self._images else Flow(self.pieces())


class Flow:
    """Pieces handed out one by one; between two, others have their turn."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None


def _encoded_size(size_bytes: int) -> int:
    return (size_bytes + 2) // 3 * 4
