"""Telling systemd (or whoever set NOTIFY_SOCKET) how the fleet fares: one datagram a message, no library."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends READY, STATUS, WATCHDOG, STOPPING; silent when nobody listens."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog(environ)

    @property
    def listening(self) -> bool:
        """Whether somebody wants to know."""
        return bool(self._address)

    def send(self, *assignments: str) -> None:
        """Send assignments such as READY=1 in one datagram. A listener that is gone is no reason to fail."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.connect(self._address)
                channel.send("\n".join(assignments).encode())
        except OSError:
            return


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """Return seconds between two signs of life (half of what is allowed), None when nobody waits for any."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        allowed_s = int(environ.get("WATCHDOG_USEC", "")) / 1_000_000
    except ValueError:
        return None
    return allowed_s / 2 if allowed_s > 0 else None
