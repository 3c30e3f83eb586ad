"""HTTP for peers that take their time, though not for ever, and are not too many.

The head of a request has HEAD_S from its first byte, or from the connection, its body BODY_S, an answer that is not read STALL_S.
Whoever sends a byte now and then buys no time with it.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    Base = H11Protocol
else:
    Base = ABC
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:  # httptools is not installed: a request then takes 0.15 ms longer
        HttpToolsProtocol = None

logger = logging.getLogger(__name__)

HEAD_S: Final = 10.0
BODY_S: Final = 60.0
STALL_S: Final = 60.0
LONGEST_HEAD: Final = 65_536
"""Bytes of a head that is not whole yet."""


class Impatient(Base):
    """What both parsers have in common. `_due` says how long what is under way may take, 0 when nothing is."""

    def __init__(self, most: Callable[[], int], **wiring: Any) -> None:
        super().__init__(**wiring)
        self._most = most
        self._patience_s = 0.0
        self._end: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or drop it when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._most():
            logger.warning("the API has as many connections as it may have; one more was cut")
            transport.abort()
            return
        self._wait(HEAD_S)

    def data_received(self, data: bytes) -> None:
        """Take what came, and give the rest its time."""
        super().data_received(data)
        self._wait(self._due(len(data)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._wait(0.0)
        self._read_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the peer to read, for a while."""
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_S, self._cut)

    def resume_writing(self) -> None:
        """Go on: the peer has read."""
        self._read_on()
        super().resume_writing()

    @abstractmethod
    def _due(self, taken: int) -> float:
        """Return for how long the peer may go on with what is under way, now that so many bytes came; 0 = for ever."""

    def _wait(self, patience_s: float) -> None:
        if patience_s == self._patience_s:
            return
        if self._end is not None:
            self._end.cancel()
        self._patience_s = patience_s
        self._end = self.loop.call_later(patience_s, self._cut) if patience_s else None

    def _read_on(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _cut(self) -> None:
        self.transport.abort()


class PlainProtocol(Impatient, H11Protocol):
    """HTTP read by h11, which bounds a head itself."""

    def _due(self, taken: int) -> float:
        state = self.conn.their_state
        return HEAD_S if state is h11.IDLE else BODY_S if state is h11.SEND_BODY else 0.0


PROTOCOLS: list[type[Impatient]] = [PlainProtocol]
"""What can be had here, the fastest last."""

if HttpToolsProtocol is not None:

    class SwiftProtocol(Impatient, HttpToolsProtocol):  # type: ignore[misc]
        """HTTP read by httptools, which bounds nothing itself."""

        _now_s = 0.0
        _head = 0

        def on_message_begin(self) -> None:
            """Begin a request."""
            super().on_message_begin()
            self._now_s = HEAD_S

        def on_headers_complete(self) -> None:
            """Begin its body."""
            super().on_headers_complete()
            self._now_s = BODY_S

        def on_message_complete(self) -> None:
            """Have all of it."""
            super().on_message_complete()
            self._now_s = 0.0

        def _due(self, taken: int) -> float:
            self._head = self._head + taken if self._now_s == HEAD_S else 0
            if self._head > LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")
            between = self.cycle is None or self.cycle.response_complete
            # Line ends before a request begin none, and are not to be sent for ever.
            return HEAD_S if not self._now_s and between else self._now_s

    PROTOCOLS.append(SwiftProtocol)
