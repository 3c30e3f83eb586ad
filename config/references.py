"""Where secrets may also come from: `file:PATH` and `cmd:ARGV`.

A command is run without a shell, in the fleet's folder, with nothing on its standard input, for five seconds at
most; then it and its children are killed. No message ever quotes what a file or command gave.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from config.files import Signature, Unreadable, read_text, signature_at

MAX_SECRET_BYTES: Final = 64 * 1024
COMMAND_LIMIT_S: Final = 5.0
_SLICE_MS: Final = 50


class ReferenceFailed(Exception):
    """A secret could not be had."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class References:
    """Reads secrets from files and commands.

    A command's answer, its failure too, is kept until the file that names it changes (`forget`): an edit
    elsewhere, or a thousand bots that share one resource, do not run it again.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        self._environ = environ
        self._answers: dict[tuple[Path, tuple[str, ...]], str | ReferenceFailed] = {}

    def forget(self, owner: Path | None = None) -> None:
        """Forget the answers of commands named in one file, or of all."""
        self._answers = {key: value for key, value in self._answers.items() if owner is not None and key[0] != owner}

    def path_of(self, name: str) -> Path:
        """Return the file a `file:` reference names; relative names start at the fleet's folder."""
        return self.root / Path(name).expanduser()

    def file(self, path: Path) -> tuple[str, Signature | None]:
        """Return a file's text without its last line end. Raises ReferenceFailed."""
        try:
            text, signature = read_text(path, MAX_SECRET_BYTES)
        except Unreadable as error:
            raise ReferenceFailed(f"the file {path} {error.message}", error.hint) from None
        return _one_secret(text, f"the file {path}"), signature

    def command(self, owner: Path, argv: Sequence[str]) -> str:
        """Return what a command prints, without its last line end. Raises ReferenceFailed."""
        key = owner, tuple(argv)
        if key not in self._answers:
            try:
                self._answers[key] = self._run(argv)
            except ReferenceFailed as error:
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, ReferenceFailed):
            raise ReferenceFailed(answer.message, answer.hint)
        return answer

    def _run(self, argv: Sequence[str]) -> str:
        if not argv:
            raise ReferenceFailed("cmd: names no command", "write cmd:program argument …")
        try:
            process = subprocess.Popen(  # noqa: S603 (the operator's own command, no shell)
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.root,
                env=dict(self._environ),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it holds a zero byte"
            raise ReferenceFailed(f"the command {argv[0]} cannot be run: {reason}", "is it installed?") from None
        return _answer(process, argv[0])


def _answer(process: subprocess.Popen[bytes], name: str) -> str:
    expired = threading.Event()
    timer = threading.Timer(COMMAND_LIMIT_S, expired.set)
    timer.daemon = True
    timer.start()
    try:
        raw = _drain(process, expired)
    finally:
        timer.cancel()
        _kill(process)
    if expired.is_set():
        raise ReferenceFailed(f"the command {name} took longer than {COMMAND_LIMIT_S:.0f} s", "try it by hand")
    if len(raw) > MAX_SECRET_BYTES:
        raise ReferenceFailed(f"the command {name} printed more than {MAX_SECRET_BYTES // 1024} KiB", "")
    if process.returncode:
        raise ReferenceFailed(f"the command {name} ended with code {process.returncode}", "try it by hand")
    try:
        return _one_secret(raw.decode(), f"the command {name}")
    except UnicodeDecodeError:
        raise ReferenceFailed(f"the command {name} printed no UTF-8", "") from None


def _drain(process: subprocess.Popen[bytes], expired: threading.Event) -> bytes:
    """Read until the end, the limit or the time-out. A child left in the background is not waited for."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    poller = select.poll()
    poller.register(pipe, select.POLLIN | select.POLLHUP)
    raw = b""
    while not expired.is_set() and len(raw) <= MAX_SECRET_BYTES:
        if not poller.poll(_SLICE_MS):
            if process.poll() is not None:
                break
            continue
        chunk = os.read(pipe, MAX_SECRET_BYTES)
        if not chunk:
            _reap(process, expired)
            break
        raw += chunk
    return raw


def _reap(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    """Wait for a process that closed its output."""
    while not expired.is_set():
        try:
            process.wait(_SLICE_MS / 1000)
        except subprocess.TimeoutExpired:
            continue
        return


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _one_secret(text: str, whence: str) -> str:
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ReferenceFailed(f"{whence} gave nothing", "")
    return secret


def signatures(paths: Mapping[Path, Signature | None]) -> bool:
    """Tell whether every file still has the signature it had."""
    return all(signature_at(path) == signature for path, signature in paths.items())
