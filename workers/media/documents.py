"""Documents read: text as it is, PDF and Word by a program of its own."""

from __future__ import annotations

import asyncio
import codecs
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from workers.errors import MediaFailed
from workers.media.reading import MISSING

if TYPE_CHECKING:
    from workers.channels.base import Attachment
    from workers.clock import Clock

READ_S: Final = 30.0
"""For one document to be read."""

AT_ONCE: Final = 2
"""Documents read at the same time, of the whole fleet; each is a process."""

_TEXTS: Final = frozenset(
    [
        "txt",
        "md",
        "markdown",
        "rst",
        "csv",
        "tsv",
        "json",
        "jsonl",
        "toml",
        "yaml",
        "yml",
        "xml",
        "html",
        "htm",
        "ini",
        "cfg",
        "conf",
        "log",
        "tex",
        "srt",
        "vtt",
        "py",
        "js",
        "ts",
        "jsx",
        "tsx",
        "java",
        "kt",
        "c",
        "h",
        "cpp",
        "hpp",
        "cc",
        "cs",
        "go",
        "rs",
        "rb",
        "php",
        "pl",
        "lua",
        "r",
        "jl",
        "sh",
        "bash",
        "zsh",
        "ps1",
        "sql",
        "css",
        "scss",
        "diff",
        "patch",
    ]
)
"""Endings of names whose files are text, whatever type they are said to be of."""

_KINDS: Final = {
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/json": "text",
    "application/xml": "text",
    "application/toml": "text",
    "application/x-yaml": "text",
}
_REASON: Final = 200
_LARGEST: Final = 4
"""Bytes of one character, at most."""

_KEPT: Final = ("HOME", "PATH", "LD_LIBRARY_PATH")
_COMMAND: Final = (sys.executable, "-E", "-P", str(Path(__file__).with_name("reading.py")))


def kind_of(attachment: Attachment) -> str:
    """Return how a document is read: text, pdf or docx; "" when it is not."""
    ending = attachment.name.rpartition(".")[2].lower() if "." in attachment.name else ""
    if ending in {"pdf", "docx"}:
        return ending
    if ending in _TEXTS or attachment.mime.startswith("text/"):
        return "text"
    return _KINDS.get(attachment.mime, "")


class Documents:
    """Reads documents, a few at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: anyio.CapacityLimiter | None = None

    async def text_of(self, kind: str, data: bytes, characters: int) -> str:
        """Return a document's text, cut with a word where it is longer. Raises MediaFailed. Cancelling is safe."""
        text = _decoded(data, characters) if kind == "text" else await self._read(kind, data, characters)
        if not text.strip():
            raise MediaFailed("document_failed", "the document holds no text")
        return text if len(text) <= characters else f"{text[:characters]}\n[… cut after {characters} characters]"

    async def _read(self, kind: str, data: bytes, characters: int) -> str:
        if self._places is None:
            self._places = anyio.CapacityLimiter(AT_ONCE)
        async with self._places:
            with self._clock.deadline(READ_S):
                return _result(await _run([*_COMMAND, kind, str(characters)], data), kind)
        raise MediaFailed("document_failed", f"the document could not be read within {READ_S:g} s")


async def _run(command: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run a program of ours to its end, without this process's environment: secrets may be in it."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    pipe = asyncio.subprocess.PIPE
    with anyio.CancelScope(shield=True):  # one that is cancelled while it begins would be left to itself
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=kept)
    try:
        said, complained = await process.communicate(data)
    finally:
        if process.returncode is None:
            process.kill()
            with anyio.CancelScope(shield=True):
                await process.wait()
    return subprocess.CompletedProcess(command, process.returncode or 0, said, complained)


def _result(done: subprocess.CompletedProcess[bytes], kind: str) -> str:
    if done.returncode == 0:
        return done.stdout.decode("utf-8", "replace")
    if done.returncode == MISSING:
        raise MediaFailed("document_failed", f"nothing here can read {kind}", "install botdeck[documents]")
    said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:_REASON]
    raise MediaFailed("document_failed", f"the document could not be read: {said or f'ended by {-done.returncode}'}")


def _decoded(data: bytes, characters: int) -> str:
    """Return the beginning of a text in UTF-8, UTF-16 with its mark, or else Windows-1252; NUL is none."""
    encoding = "utf-16" if data[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else "utf-8-sig"
    most = (characters + 1) * _LARGEST
    beginning = data[:most]
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(beginning, final=len(data) <= most)
    except UnicodeDecodeError:
        text = beginning.decode("cp1252", "replace")
    return text.replace("\0", "\ufffd").replace("\r\n", "\n")
