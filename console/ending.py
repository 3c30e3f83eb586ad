"""What signals mean to a process that runs a fleet."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskStatus

from console import exits

if TYPE_CHECKING:
    from console.runtime import Fleet

logger = logging.getLogger("botdeck")

CODES: Final = {signal.SIGINT: exits.INTERRUPTED, signal.SIGTERM: exits.TERMINATED}


class Ending:
    """The first signal drains, the second cancels what still runs, the third exits at once; SIGHUP ends nothing.

    `asked` is set by the first signal, or by whoever else wants the fleet to end; `hung_up` when the terminal is gone.
    """

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.hung_up = anyio.Event()
        self.starting = anyio.CancelScope()
        self.fleet: Fleet | None = None
        self.code = exits.OK
        self._count = 0

    async def listen(self, *, task_status: TaskStatus[None]) -> None:
        """Take signals until cancelled."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP:
                    logger.info("SIGHUP: the terminal is gone, the fleet runs on")
                    self.hung_up.set()
                else:
                    self.take(number)

    def take(self, number: signal.Signals) -> None:
        """Act on a signal that asks for the end."""
        self._count += 1
        if self._count == 1:
            logger.info("%s: turns in flight are finished; again cuts them short", number.name)
            self.asked.set()
            if self.fleet is None:
                self.starting.cancel()
            return
        self.code = CODES[number]
        if self._count > 2:
            # Whatever hangs, the operator wants it gone; the database survives that as it survives a power cut.
            os._exit(self.code)
        logger.warning("%s again: turns in flight are cancelled; once more exits at once", number.name)
        if self.fleet is not None:
            self.fleet.hurry()
