"""A driver that waits for no terminal: one that is paused, slow or gone must not stop a fleet.

Textual hands pictures to a thread by a short queue and waits when it is full, on the loop that all bots run on. Here a picture
that finds no room is left out, and the whole screen is painted anew once there is room again.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Full
from typing import Any, Final

from textual.drivers.linux_driver import LinuxDriver

LAST_S: Final = 0.5
"""How long the end waits for a terminal that does not read."""


class PatientDriver(LinuxDriver):
    """Textual's driver for terminals, save that `write` never waits."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._behind = False

    def write(self, data: str) -> None:
        """Have something written soon, or leave it out."""
        assert self._writer_thread is not None, "the driver is in application mode"
        try:
            self._writer_thread._queue.put_nowait(data)  # noqa: SLF001 (its own write waits)
        except Full:
            self._behind = True
            return
        if self._behind:
            self._behind = False
            self._app.call_next(self._app.refresh)

    def close(self) -> None:
        """End the thread; one that is stuck in a terminal nobody reads is left to end with the process."""
        writer = self._writer_thread
        if writer is not None:
            with suppress(Full):
                writer._queue.put(None, timeout=LAST_S)  # noqa: SLF001
                writer.join(LAST_S)
