"""The operator's own editor, in place of the console for a while; the bots go on meanwhile.

The loop is never blocked: the editor is waited for, not run. It is a job of its own in the terminal, so that Ctrl-C in it
does not reach the fleet.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio

from config.errors import FleetError

if TYPE_CHECKING:
    from textual.app import App

FALLBACKS: Final = ("sensible-editor", "nano", "vi")
NOTE: Final = "#! "
"""Begins the lines put on top of a text to say what is wrong with it; they are taken out again."""


def command() -> list[str]:
    """Return the editor's words: $VISUAL, $EDITOR, or the first usual one. Raises FleetError when there is none."""
    import shutil

    for name in ("VISUAL", "EDITOR"):
        words = shlex.split(os.environ.get(name, ""))
        if words:
            return words
    found = next((word for word in FALLBACKS if shutil.which(word)), None)
    if found is None:
        raise FleetError("no editor is known", "set $EDITOR, or use the built-in editor (i)")
    return [found]


async def edit(app: App[Any], text: str, *, name: str, notes: tuple[str, ...] = ()) -> str:
    """Let the operator edit a text; return it as saved, without the notes.

    name is the file's name as the editor shows it. notes are put on top as comments. Raises FleetError when the editor
    cannot be started or fails, SuspendNotSupported (Textual) in a browser.
    """
    words = command()
    with _private_file(name, "".join(f"{NOTE}{note}\n" for note in notes) + text) as path, app.suspend():
        code = await _run([*words, str(path)])
        if code != 0:
            raise FleetError(f"{words[0]} ended with code {code}", "nothing was changed")
        return without_notes(path.read_text(encoding="utf-8", errors="surrogateescape"))


def without_notes(text: str) -> str:
    """Return a text without the lines that said what was wrong with it."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(NOTE.rstrip()))


@contextmanager
def _private_file(name: str, text: str) -> Iterator[Path]:
    """Give a file only its owner may read: a bot file may hold secrets."""
    with tempfile.TemporaryDirectory(prefix="botdeck-") as folder:
        path = Path(folder) / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        yield path


async def _run(words: list[str]) -> int:
    """Run a command as the terminal's foreground job; return its exit code. Raises FleetError when it cannot start."""
    try:
        # Not by the loop: uvloop knows no process groups.
        process = subprocess.Popen(words, process_group=0)  # noqa: ASYNC220, S603 (the operator's own editor; it is not waited for here)
    except OSError as error:
        raise FleetError(
            f"cannot start {words[0]}: {error.strerror}", "set $EDITOR to an editor that exists"
        ) from error
    with _foreground(process.pid):
        return await anyio.to_thread.run_sync(process.wait)


@contextmanager
def _foreground(group: int) -> Iterator[None]:
    """Let a process group have the terminal, and take it back."""
    try:
        before = os.tcgetpgrp(0)
    except OSError:  # no terminal: a test, a pipe
        yield
        return
    # Whoever takes the terminal back is in the background at that moment, and would be stopped for it.
    ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with suppress(OSError, ProcessLookupError):  # it may have ended already
            os.tcsetpgrp(0, group)
            os.killpg(group, signal.SIGCONT)  # it may have asked for the terminal before it had it
        yield
    finally:
        with suppress(OSError):
            os.tcsetpgrp(0, before)
        signal.signal(signal.SIGTTOU, ignored)
