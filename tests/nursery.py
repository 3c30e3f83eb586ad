"""Processes of botdeck without the second each takes to import it: forked from one that has, one such per worker.

A child is our child like any other, with arguments, environment, folder, streams and an exit code of its own, and runs
`python -m MODULE` as a fresh interpreter does. What reads how its interpreter was started (PYTHON* and the locale, other
modules in front of ours, memory from the start on) is started afresh, here or by `subprocess`.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import inspect
import io
import json
import os
import resource
import runpy
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
MODULES: Final = ("console", "tests.secrets.subject")
"""What children may run."""
IMPORTED: Final = (
    "anyio._backends._asyncio", "concurrent.futures.thread", "console.asking", "console.attach", "console.cli",
    "console.headless", "console.local", "console.runtime", "console.sandbox.server", "console.tui.app",
    "console.tui.screens.fleet", "console.web.server", "encodings.idna", "fastapi", "uvloop", "watchfiles", "workers.channels.telegram", "workers.llm.openai",
)  # fmt: skip
LARGEST_ORDER: Final = 1 << 20
LIMITS: Final = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
_PR_SET_CHILD_SUBREAPER: Final = 36


def start(command: Sequence[str], **how: Any) -> subprocess.Popen[Any]:
    """Do what `subprocess.Popen` does, sooner where that makes no difference.

    A child with a session of its own has the terminal it is given as its controlling one; preexec_fn is not called in it.
    Outside of the suite every process starts afresh: commands that measure starts share these lines.
    """
    if "pytest" not in sys.modules:
        return subprocess.Popen(command, **how)
    python, *words = command
    env = how.get("env") or os.environ
    if sys.platform != "linux" or python != sys.executable or words[0] != "-m" or words[1] not in MODULES:
        return subprocess.Popen(command, **how)
    if _of_interpreter(env) != _of_interpreter(os.environ):
        return subprocess.Popen(command, **how)
    return _Child(words[1:], **how)


def run(command: Sequence[str], *, timeout_s: float, **how: Any) -> subprocess.CompletedProcess[Any]:
    """Do what `subprocess.run` does, likewise; what a process writes is captured. Raises subprocess.TimeoutExpired."""
    with start(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}) as process:
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _of_interpreter(env: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter looks at when it starts, but for what a child does itself or is as usual."""
    usual = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
    mine = {name: value for name, value in env.items() if name.startswith("PYTHON") and name not in usual}
    places = {name: value for name, value in env.items() if name.startswith(("LC_", "LANG"))}
    plain = ("", "c", "posix")
    return mine | {
        n: v for n, v in places.items() if v.lower() not in plain and not v.lower().endswith(("utf-8", "utf8"))
    }


class _Child(subprocess.Popen[Any]):
    """A child of the nursery, of which the interpreter knows nothing else but how it was begun."""

    def _execute_child(self, *given: Any, **named: Any) -> None:
        how = inspect.signature(subprocess.Popen._execute_child).bind(self, *given, **named).arguments  # type: ignore[attr-defined]
        ends = ("p2cread", "c2pwrite", "errwrite")
        order = {
            "words": [os.fspath(word) for word in how["args"]],
            "env": dict(how["env"] or os.environ),
            "cwd": os.fspath(how["cwd"] or Path.cwd()),
            "session": bool(how["start_new_session"]),
            "limits": [resource.getrlimit(number) for number in LIMITS],
        }
        self.pid = nursery().born(order, [how[end] if how[end] >= 0 else n for n, end in enumerate(ends)])
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*[how[name] for name in pipes])  # type: ignore[attr-defined]


class Nursery:
    """The process that has imported everything, as those see it that want children."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._one_at_a_time = threading.Lock()
        self._door, behind = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.nursery", str(behind.fileno())]
        self._process = subprocess.Popen(
            command, cwd=ROOT, pass_fds=[behind.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        behind.close()
        atexit.register(self.close)

    @property
    def mine(self) -> bool:
        """Whether it belongs to this process and lives."""
        return self._owner == os.getpid() and self._process.poll() is None

    def born(self, order: dict[str, Any], streams: Sequence[int]) -> int:
        """Return the pid of a new child of ours."""
        libc = ctypes.CDLL(None)
        # Its parent ends at once, and we take the place of that: for as long as this takes, and no longer.
        with self._one_at_a_time:
            libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
            try:
                socket.send_fds(self._door, [json.dumps(order).encode()], list(streams))
                return int(self._door.recv(99))
            finally:
                libc.prctl(_PR_SET_CHILD_SUBREAPER, 0)

    def close(self) -> None:
        """End it; its children live on."""
        atexit.unregister(self.close)
        self._door.close()
        if self._owner == os.getpid():
            self._process.wait()


_nursery: Nursery | None = None


def nursery() -> Nursery:
    """Return the nursery of this process."""
    global _nursery
    if _nursery is not None and not _nursery.mine:
        _nursery.close()
        _nursery = None
    _nursery = _nursery or Nursery()
    return _nursery


# --- the process that has children -----------------------------------------------------------------------------


def serve(door: socket.socket) -> dict[str, Any] | None:
    """Fork a child for each order until the door is closed; return None, and in a child what it is to do."""
    while True:
        data, streams, _, _ = socket.recv_fds(door, LARGEST_ORDER, 3)
        if not data:
            return None
        reading, writing = os.pipe()
        parent = os.fork()
        if parent == 0:
            child = os.fork()
            if child:
                os.write(writing, b"%d" % child)
                os._exit(0)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            door.close()
            os.closerange(3, max(reading, writing, *streams) + 1)
            return dict(json.loads(data))
        os.waitpid(parent, 0)
        door.send(os.read(reading, 99))
        for descriptor in (reading, writing, *streams):
            os.close(descriptor)


def become(order: dict[str, Any]) -> None:
    """Take on what an interpreter is given at its start."""
    if order["session"]:
        os.setsid()
        with suppress(OSError):  # no terminal
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    for number, limit in zip(LIMITS, order["limits"], strict=True):
        resource.setrlimit(number, limit)
    _, *arguments = order["words"]
    sys.argv = ["", *arguments]
    sys.path[0] = order["cwd"]
    now = bool(os.environ.get("PYTHONUNBUFFERED"))
    given = io.BufferedReader(io.FileIO(0, closefd=False))
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(given, sys.stdin.encoding, sys.stdin.errors)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _written(1, sys.stdout, now=now)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _written(2, sys.stderr, now=True)  # type: ignore[misc]


def _written(descriptor: int, like: Any, *, now: bool) -> io.TextIOWrapper:
    file = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(file if now else io.BufferedWriter(file), like.encoding, like.errors, write_through=now)  # type: ignore[arg-type]


def main() -> None:
    """Import, serve; and go on as a child."""
    with socket.socket(fileno=int(sys.argv[1])) as door:
        for name in IMPORTED:
            import_module(name)
        gc.collect()
        gc.freeze()  # so that no child has to copy what it only looks through
        order = serve(door)
    if order is not None:
        become(order)
        runpy.run_module(order["words"][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
