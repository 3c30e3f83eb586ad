"""A way to stderr on which nobody waits: a terminal that is paused, or a pipe nobody reads, must not stop a fleet."""

from __future__ import annotations

import io
import os
import threading
from collections import deque
from types import TracebackType
from typing import Final, Self

CAPACITY: Final = 10_000
"""Texts kept for a reader that is slower than we write; older ones are dropped, and it is told."""
LAST_S: Final = 1.0
"""How long the end waits for a reader."""


class Spout(io.TextIOBase):
    """A text stream: `write` returns at once, a daemon thread writes to the descriptor.

    The thread writes to the descriptor itself: a thread that is stuck in a buffered stream at the interpreter's end
    would make that end a crash.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._closing = False
        self._guard = threading.Condition()
        self._thread = threading.Thread(target=self._pour, name="botdeck-stderr", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str, /) -> int:
        """Take a text; never waits."""
        with self._guard:
            if len(self._waiting) >= CAPACITY:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(text)
            self._guard.notify()
        return len(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the reader a moment to take what is left."""
        with self._guard:
            self._closing = True
            self._guard.notify()
        self._thread.join(LAST_S)

    def _pour(self) -> None:
        while texts := self._take():
            try:
                self._write_all("".join(texts).encode("utf-8", "backslashreplace"))
            except OSError:
                return  # nobody reads any more; the store has every line

    def _take(self) -> list[str]:
        """Wait for texts; none means that the end has come."""
        with self._guard:
            while not self._waiting and not self._closing:
                self._guard.wait()
            texts = list(self._waiting)
            self._waiting.clear()
            if self._dropped:
                texts.insert(0, f"… {self._dropped} lines were left out: nobody read them in time\n")
                self._dropped = 0
        return texts

    def _write_all(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]
