"""The message in which an answer is shown while it is made, as it is written down: before it leaves, and when it is there."""

from __future__ import annotations

from typing import Protocol

from workers.recording import OpenItem
from workers.sender import Sender
from workers.shift import Shift


class Ledger(Protocol):
    """Who writes down what becomes of the message in which an answer is shown."""

    async def leaving(self) -> None:
        """Note that the message is about to be sent; committed before it is."""
        ...

    async def stayed(self) -> None:
        """Note that it certainly was not sent."""
        ...

    async def arrived(self, message_id: int) -> None:
        """Note its number."""
        ...

    async def doubtful(self) -> None:
        """Note that it may be there, though nobody knows its number."""
        ...


class Shown:
    """The ledger of one update, in the inbox. Waits for as long as the database refuses."""

    __slots__ = ("_item", "_sender", "_shift")

    def __init__(self, shift: Shift, sender: Sender, item: OpenItem) -> None:
        self._shift = shift
        self._sender = sender
        self._item = item

    async def leaving(self) -> None:
        """As Ledger.leaving. Found so by the next run, it is in doubt."""
        await self._write(0)

    async def stayed(self) -> None:
        """As Ledger.stayed."""
        await self._write(None)

    async def arrived(self, message_id: int) -> None:
        """As Ledger.arrived: it becomes the answer, whichever run gives it."""
        self._item.preview_id = message_id
        await self._write(message_id)

    async def doubtful(self) -> None:
        """As Ledger.doubtful: counted, once, as a send in doubt."""
        await self._sender.settle_frame(self._item.update_id)

    async def _write(self, message_id: int | None) -> None:
        updates, update_id = self._shift.partition.updates, self._item.update_id
        await self._shift.services.insist(lambda: updates.preview(update_id, message_id))
