"""The files of a fleet's folder: finding them, reading them safely, parsing them with places.

Nothing here trusts a name: a pipe, a device, a folder, a link into nowhere, a huge or a binary file under the
name of a TOML file is refused with a sentence, at once, without reading it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from config.bounds import TOO_DEEP, TOO_DEEP_HINT, excess
from config.errors import Problem
from config.positions import KeyPath, Mark, Spot, first_too_deep, nearest, positions
from config.vocabulary import is_bot_id

MAX_BYTES: Final = 1024 * 1024
"""Largest configuration file that is read."""
MAX_DOTS: Final = 100
"""Names one dotted key may join: the parser's cost grows with the square."""

FLEET_FILE: Final = "fleet.toml"
DOTENV_FILE: Final = ".env"
BOTS_DIR: Final = "bots"
ENVIRONMENTS_DIR: Final = "environments"

Signature = tuple[int, int, int, int]
"""Inode, size in bytes, mtime and ctime in ns: equal means the file was not touched."""

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_DOTTED_PART = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")
_STATEMENT = re.compile(r"[ \t]*([\w.\"' -]{1,80}?)[ \t]*=|[ \t]*(\[\[?[\w.\"' -]{1,80}\]\]?)")
_LONG_NUMBER = re.compile(r"\d[\d_]{4000,}")


class Unreadable(Exception):
    """A file that cannot be used as text; column and line are 0 when it is the whole file."""

    def __init__(self, message: str, hint: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.line = line
        self.column = column


class Source:
    """One TOML file as read: its text, its values, or what is wrong with it. Places are computed when asked."""

    __slots__ = ("data", "path", "problem", "signature", "text")

    def __init__(self, path: Path, text: str = "", signature: Signature | None = None) -> None:
        self.path = path
        self.text = text
        self.signature = signature
        self.data: dict[str, Any] = {}
        self.problem: Problem | None = None

    @classmethod
    def read(cls, path: Path, bot_id: str | None = None) -> Source:
        """Read and parse a file. Never raises: what is wrong is in `problem`."""
        source = cls(path)
        try:
            source.text, source.signature = read_text(path)
            source.data = parse(source.text)
        except Unreadable as error:
            source.signature = source.signature or signature_at(path)
            source.problem = Problem(path, error.line, error.column, "", error.message, error.hint, bot_id)
        return source

    @classmethod
    def of_text(cls, path: Path, text: str, bot_id: str | None = None) -> Source:
        """Parse a text as if it stood in a file. Never raises: what is wrong is in `problem`."""
        source = cls(path, text)
        try:
            _refuse_unfit(text)
            source.data = parse(text)
        except Unreadable as error:
            source.problem = Problem(path, error.line, error.column, "", error.message, error.hint, bot_id)
        return source

    def spot(self, path: KeyPath, *, value: bool = False) -> Spot:
        """Return where a key (or its value) stands, or the nearest thing around it."""
        mark = nearest(_marks(self.text), path)
        return mark.value if value else mark.key


@lru_cache(maxsize=8)
def _marks(text: str) -> dict[KeyPath, Mark]:
    # Places are large beside the text and asked for rarely, but then many times for one file.
    return positions(text)


def _refuse_unfit(text: str) -> None:
    """Raise Unreadable for a text no file could give back."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        line, column = _line_column(text, error.start)
        raise Unreadable("holds a character that is none", "take it out", line, column) from None
    if size > MAX_BYTES:
        raise Unreadable(f"is larger than {MAX_BYTES // 1024} KiB", "shorten it")


def signature_of(status: os.stat_result) -> Signature:
    """Return what tells two states of a file apart."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def signature_at(path: Path) -> Signature | None:
    """Return the signature of what is at path now, through links; None when there is nothing."""
    try:
        return signature_of(path.stat())
    except OSError:
        return None


def read_text(path: Path, limit_bytes: int = MAX_BYTES) -> tuple[str, Signature]:
    """Return the text of a regular file and the signature it had before it was read.

    Raises Unreadable with a sentence. Never blocks on a pipe, never reads more than limit_bytes.
    """
    try:
        raw, signature = _read_bytes(path, limit_bytes)
    except OSError as error:
        raise Unreadable(*_refusal(error)) from None
    try:
        return raw.decode("utf-8-sig"), signature
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"is not UTF-8: byte 0x{raw[error.start]:02x} at line {line}, column {column}"
        raise Unreadable(message, "save the file as UTF-8", line, column) from None


def parse(text: str) -> dict[str, Any]:
    """Parse TOML. Raises Unreadable with the place of the first mistake, or of what is too deep or too large."""
    _refuse_endless_key(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, str(error)) from None
    except RecursionError:
        raise Unreadable(TOO_DEEP, TOO_DEEP_HINT, *first_too_deep(text)) from None
    except ValueError:
        match = _LONG_NUMBER.search(text)
        line, column = _line_column(text, match.start()) if match else (0, 0)
        raise Unreadable("a number has too many digits", "use fewer", line, column) from None
    if (beyond := excess(data)) is not None:
        raise Unreadable(beyond.message, beyond.hint, *nearest(_marks(text), beyond.path).key)
    return data


def bot_files(root: Path) -> Iterator[tuple[Path, Signature | None]]:
    """Yield every file in bots/ that means to be a bot, with its signature (None: a link into nowhere).

    No folder is no file. Raises OSError for a folder that cannot be listed.
    """
    for entry in _toml_entries(root / BOTS_DIR):
        try:
            yield root / BOTS_DIR / entry.name, signature_of(entry.stat())
        except OSError:
            yield root / BOTS_DIR / entry.name, None


def environment_names(root: Path) -> list[str]:
    """Return the names of the environments there are, sorted."""
    try:
        return sorted(entry.name.removesuffix(".toml") for entry in _toml_entries(root / ENVIRONMENTS_DIR))
    except OSError:
        return []


def is_folder(path: Path) -> bool:
    """Tell whether path is a folder, whatever is wrong with it (a name that is too long, a zero byte)."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_toml_name(name: str) -> bool:
    """Tell whether a file of this name means to be read: hidden files and editors' droppings do not."""
    return not name.startswith((".", "#", "~")) and name.lower().endswith(".toml")


def bad_name(path: Path) -> Problem | None:
    """Return what is wrong with the name of a bot file."""
    stem = path.name[: -len(".toml")]
    if is_bot_id(stem) and path.name.endswith(".toml"):
        return None
    better = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")[:50]
    hint = f"rename it to {better}.toml" if is_bot_id(better) else "rename it"
    message = (
        f'"{_printable(path.name)}" cannot name a bot: use a to z, 0 to 9, _ and -, at most 50, '
        "beginning with a letter or digit, then .toml"
    )
    return Problem(path, 0, 0, "", message, hint)


def _toml_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if is_toml_name(entry.name)), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _read_bytes(path: Path, limit_bytes: int) -> tuple[bytes, Signature]:
    # O_NONBLOCK: opening a pipe without a writer would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable(f"is {_sort(status.st_mode)}, not a file", "put a regular file there, or remove it")
        raw = b"" if status.st_size > limit_bytes else os.read(descriptor, limit_bytes + 1)
        if max(status.st_size, len(raw)) > limit_bytes:
            raise Unreadable(f"is larger than {limit_bytes // 1024} KiB", "shorten it")
        while len(raw) < status.st_size and (more := os.read(descriptor, limit_bytes + 1 - len(raw))):
            raw += more
        return raw, signature_of(status)
    finally:
        os.close(descriptor)


def _sort(mode: int) -> str:
    sorts = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((words for test, words in sorts if test(mode)), "a device")


def _refusal(error: OSError) -> tuple[str, str]:
    """Return message and hint for what the operating system said."""
    if error.errno == errno.ENOENT:
        return "does not exist, or is a link that points nowhere", "create it, or remove the link"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "may not be read", "give the user that runs botdeck the right to read it"
    if error.errno == errno.ELOOP:
        return "is a link that leads back to itself", "remove the link"
    if error.errno == errno.ENXIO:
        return "is a socket, not a file", "put a regular file there, or remove it"
    return f"cannot be read: {error.strerror}", ""


def _refuse_endless_key(text: str) -> None:
    # Without blanks: with them, sentences of a prompt would look the same.
    if text.count(".") <= MAX_DOTS:
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") <= MAX_DOTS:
            continue
        run = 0
        for part in line.split("."):
            run = run + 1 if _DOTTED_PART.fullmatch(part) else 0
            if run > MAX_DOTS:
                raise Unreadable(f"more than {MAX_DOTS} names are joined by dots", "", number, 1)


def _syntax_error(text: str, said: str) -> Unreadable:
    match = _PLACE.search(said)
    what = said[: match.start()] if match else said
    if match and match[1]:
        line, column = int(match[1]), int(match[2])
    else:
        line, column = _line_column(text, len(text))
    # The parser quotes names of keys and single characters, never values.
    message = f"not TOML: {what[:1].lower()}{what[1:]}"
    if what.startswith("Cannot"):
        statement = _STATEMENT.match(text.split("\n")[line - 1])
        if statement:
            name = statement.lastindex or 0
            column = statement.start(name) + 1
            message = f"not TOML: {statement[name]} is there twice, or as two different things"
    return Unreadable(message, _advice(what), line, column)


def _advice(what: str) -> str:
    """Return what to do about the mistakes people make most."""
    advice = {
        "Invalid value": 'text needs quotes: key = "text"; true and false are small',
        "Expected '='": "a line is key = value, [table] or # comment",
        "Cannot": "remove one, or join both",
        "Invalid statement": "a line is key = value, [table] or # comment",
        "Unescaped '\\'": "write \\\\ for a backslash, or use 'single quotes'",
        "Unterminated string": "close the quotes; text over several lines stands in three of them",
        "Illegal character": 'close the quotes; text over several lines stands in """three quotes"""',
        "Expected newline or end of document": 'one statement a line; quotes inside of text are written \\"',
    }
    return next((text for start, text in advice.items() if what.startswith(start)), "")


def _line_column(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset].replace("\r\n", "\n")
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _printable(name: str) -> str:
    """Return a file name fit for a message: any byte and control character may be in one."""
    return "".join(c if c.isprintable() else "?" for c in name)
