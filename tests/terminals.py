"""A real terminal: a process on a pty of its own session, whose screen, keys, size and hang-up a test holds in hand."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests import nursery
from tests.operated import PATIENCE_S, ROOT, clean
from tests.waiting import eventually_sync

LEFT = b"\x1b[?1049l"
"""What a full-screen program prints when it leaves the alternate screen."""
ENTERED = b"\x1b[?1049h"


class Terminal:
    """A terminal with one program in it. `output` is every byte it wrote; `text` the same without escape sequences."""

    def __init__(self, *command: str, columns: int = 100, lines: int = 30, **environment: str) -> None:
        self._master, slave = pty.openpty()
        self.resize(columns, lines)
        self.settings = termios.tcgetattr(slave)
        self.output = b""
        env = clean({"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **environment})
        self.process = nursery.start(
            command, cwd=ROOT, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._slave = slave

    @classmethod
    def botdeck(cls, *arguments: str, **how: Any) -> Terminal:
        """Type one command line."""
        return cls(sys.executable, "-m", "console", *arguments, **how)

    @property
    def text(self) -> str:
        """What was printed, escape sequences taken out."""
        return re.sub(rb"\x1b(\[[0-9;?<>=]*[a-zA-Z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])", b"", self.output).decode(
            errors="replace"
        )

    def read(self) -> None:
        """Take what has been printed by now."""
        while select.select([self._master], [], [], 0)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            self.output += data

    def until(self, seen: str | bytes | Callable[[], Any], *, within_s: float = PATIENCE_S) -> None:
        """Read until a text or bytes were printed, or a condition holds; fail with all of the text when it does not."""

        def there() -> bool:
            self.read()
            if callable(seen):
                return bool(seen())
            return seen in self.output if isinstance(seen, bytes) else seen in self.text

        try:
            eventually_sync(there, within_s=within_s)
        except AssertionError:
            raise AssertionError(f"never saw {seen!r} in:\n{self.text[-4000:]}") from None

    def keys(self, *pressed: str) -> None:
        """Press keys."""
        for key in pressed:
            os.write(self._master, key.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size; the program is told by the kernel."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was before the program: its settings, and the screen it had."""
        return termios.tcgetattr(self._slave)[:4] == self.settings[:4] and self.output.rfind(LEFT) >= self.output.rfind(
            ENTERED
        )

    def ended(self) -> int:
        """Wait for the end of the program; return its exit code."""
        self.until(lambda: self.process.poll() is not None)
        self.read()
        return int(self.process.returncode)

    def hang_up(self) -> None:
        """Close the window: the kernel sends SIGHUP to the program."""
        for descriptor in (self._slave, self._master):
            with suppress(OSError):
                os.close(descriptor)

    def end(self) -> None:
        """End what still runs in this terminal's session."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        self.hang_up()


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in found.read_text().split()] if found.exists() else []


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
