"""Server-sent events, byte by byte: what a token stream costs is decided here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from workers.errors import ProviderUnavailable

MAX_EVENT_BYTES: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class EventReader:
    """Cuts a byte stream into the data of its events. Pieces may be cut anywhere, inside a character too."""

    __slots__ = ("_begun", "_data", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of every event that is complete now. Raises ProviderUnavailable for an endless event."""
        text = self._rest + piece if self._rest else piece
        if not self._begun:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._rest = text  # it may still become a byte order mark
                return
            self._begun, text = True, text.removeprefix(_BOM)
        if b"\r" in text:
            text = self._unify(text)
        *lines, self._rest = text.split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES or self._size > MAX_EVENT_BYTES:
            raise ProviderUnavailable(f"the stream holds an event of more than {MAX_EVENT_BYTES} bytes")
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
                self._size += len(line)
            elif not line and self._data:
                yield self._take()

    @staticmethod
    def _unify(text: bytes) -> bytes:
        """Make every line end a line feed; a carriage return at the very end may be half of one."""
        if text.endswith(b"\r"):
            return text[:-1].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + b"\r"
        return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def end(self) -> Iterator[bytes]:
        """Yield what is left when the stream ends without its last blank line."""
        yield from self.feed(b"\n\n")

    def _take(self) -> bytes:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data = []
        self._size = 0
        return data
