"""Who holds the terminal: a small process in front, and behind it the one that works.

The shell waits for the process in front. When the one behind is detached on purpose, the one in front ends and gives
the prompt back, while the work goes on in a session of its own. When the one behind dies without a word (kill -9), the
one in front puts the terminal right. When the one in front is gone, the one behind is told by SIGHUP, as if the terminal
had closed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

LEAVE_SCREEN: Final = "\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m\r\n"
"""Ends what a screen may have switched on: batches, the mouse, focus, pasting, keys, the alternate screen, a hidden cursor."""

DETACHED: Final = signal.SIGUSR1
"""What the process behind sends the one in front when it goes on without a terminal."""

_WATCHED: Final = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, DETACHED)
_PR_SET_PDEATHSIG: Final = 1


class Foreground:
    """The terminal, as the process behind sees it; front is the pid of the process in front, None when there is none."""

    def __init__(self, front: int | None) -> None:
        self._front = front

    def let_go(self) -> None:
        """Go on without the terminal: the shell gets its prompt back, nothing more is read or written. Once is enough."""
        _tell_of_parents_death(0)
        with suppress(PermissionError):  # the leader of a group: a service manager's child has no terminal to lose
            os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)
        if self._front is not None:
            front, self._front = self._front, None
            with suppress(ProcessLookupError):
                os.kill(front, DETACHED)


def in_front(body: Callable[[Foreground], int]) -> int:
    """Do body behind a process that holds the terminal; return its exit code, 0 when it was detached.

    To be called before threads or a loop exist. Where the platform cannot wait for signals, body runs in this process.
    """
    if not hasattr(signal, "sigwaitinfo"):
        return body(Foreground(None))
    settings = _terminal_settings()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    front = os.getpid()
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _tell_of_parents_death(signal.SIGHUP)
        if os.getppid() != front:
            os.kill(os.getpid(), signal.SIGHUP)
        return body(Foreground(front))
    try:
        return _hold(child, settings)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hold(child: int, settings: list[Any] | None) -> int:
    """Wait for the end of the process behind, or for its detaching; hand on what is sent to us."""
    while True:
        found = signal.sigwaitinfo(_WATCHED)
        if found.si_signo == DETACHED and found.si_pid == child:
            return 0
        if found.si_signo == signal.SIGCHLD:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return _ended(status, settings)
        elif found.si_code <= 0 or found.si_signo == signal.SIGHUP:
            # Sent by somebody to us alone. Keys of a terminal reach the whole group anyway; its end only the leader.
            os.kill(child, found.si_signo)


def _ended(status: int, settings: list[Any] | None) -> int:
    """Return the exit code of the process behind; after a death without a word, put the terminal right first."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    _restore(settings)
    sys.stderr.write(f"error: botdeck was ended by {signal.Signals(-code).name}\n")
    return 128 - code


def _terminal_settings() -> list[Any] | None:
    import termios

    with suppress(termios.error, OSError, ValueError):
        return list(termios.tcgetattr(sys.stdin.fileno()))
    return None


def _restore(settings: list[Any] | None) -> None:
    import termios

    with suppress(termios.error, OSError, ValueError):
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), LEAVE_SCREEN.encode())
        if settings is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, settings)


def _tell_of_parents_death(number: int) -> None:
    """Ask the kernel for a signal at our parent's death (0: for none), where it can."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))


def interactive(streams: Iterable[Any] = ()) -> bool:
    """Tell whether a person sits at a terminal that can show a screen: stdin and stdout are one, and it is not dumb."""
    ends = tuple(streams) or (sys.stdin, sys.stdout)
    return all(end is not None and end.isatty() for end in ends) and os.environ.get("TERM", "dumb") not in {"", "dumb"}
