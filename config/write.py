"""Writing a fleet's files: a new bot, a secret in `.env`. The only code that changes what people edit.

Every file is written beside its place and then moved there: a reader, the running fleet among them, sees the old
file or the new one, never a half.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from config.errors import ConfigError
from config.explain import dotted
from config.files import BOTS_DIR, DOTENV_FILE, Unreadable, read_text
from config.schema import BotConfig
from config.vocabulary import Secret, is_bot_id

BOT_FILE_MODE: Final = 0o644
DOTENV_MODE: Final = 0o600

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variable_for(bot_id: str) -> str:
    """Return the name of the variable that holds a bot's token: SUPPORT_TOKEN for support."""
    name = re.sub(r"[^A-Z0-9]", "_", bot_id.upper())
    return f"BOT_{name}_TOKEN" if name[0].isdigit() else f"{name}_TOKEN"


def bot_path(root: Path, bot_id: str) -> Path:
    """Return the file of a bot. Raises ConfigError for a name that cannot be a bot's."""
    if not is_bot_id(bot_id):
        raise ConfigError(f"{bot_id!r} cannot name a bot", "use a to z, 0 to 9, _ and -, at most 50 characters")
    return Path(root) / BOTS_DIR / f"{bot_id}.toml"


def bot_text(values: Mapping[str, Any]) -> str:
    """Return the text of a bot file. Raises ConfigError when values hold a key or value no bot file may hold."""
    import tomli_w  # on use: only `bot add` writes TOML

    try:
        BotConfig.model_validate(dict(values))
    except ValidationError as error:
        keys = {dotted(detail["loc"]) for detail in error.errors(include_input=False, include_url=False)}
        raise ConfigError(
            f"a bot file cannot hold this: {', '.join(sorted(keys))}", "see docs/configuration.md"
        ) from None
    return tomli_w.dumps(values, multiline_strings=True)


def write_bot(root: Path, bot_id: str, values: Mapping[str, Any]) -> Path:
    """Write a new bot file from nested values and return its path; bots/ is made when there is none.

    Secrets in values must be references such as "${NAME}". Raises ConfigError when the bot exists, its name is
    bad, a value is refused, or the file cannot be written.
    """
    path = bot_path(root, bot_id)
    text = bot_text(values)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    try:
        _place(path, text, BOT_FILE_MODE, replace=False)
    except FileExistsError:
        raise ConfigError(f"{path} exists already", "choose another name, or edit that file") from None
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def replace_text(path: Path, text: str) -> None:
    """Put a text in the place of an existing file, or of the one behind a link, whole; its mode is kept.

    Raises ConfigError.
    """
    try:
        target = path.resolve(strict=True)
        _place(target, text, stat.S_IMODE(target.stat().st_mode), replace=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def remove_bot(root: Path, bot_id: str) -> bool:
    """Delete a bot's file; tells whether there was one. Raises ConfigError when it cannot be deleted."""
    path = bot_path(root, bot_id)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from error
    return True


def remember_secret(root: Path, name: str, secret: Secret, *, replace: bool = False) -> Path:
    """Put `NAME=secret` at the end of `.env`, which gets mode 0600, and return its path.

    The other lines stay as they are. Raises ConfigError when the name is none, the secret holds a line end, the
    name is there already with another value (unless replace), or the file cannot be read or written.
    """
    path = Path(root) / DOTENV_FILE
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name a variable", "use letters, digits and _, beginning with no digit")
    if not secret.reveal().isprintable():
        raise ConfigError(f"the secret for {name} holds a line end or control character", "copy it again")
    text = _dotenv_text(path)
    lines = [line for line in text.splitlines(keepends=True) if not _sets(line, name)]
    there = _value_of(text, name)
    if there == secret.reveal():
        return path
    if there is not None and not replace:
        raise ConfigError(f"{path} sets {name} already", "choose another name, or take that line out")
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    try:
        # Through a link: it is the file behind it that is replaced.
        _place(path.resolve(), "".join([*lines, f"{name}={_quoted(secret.reveal())}\n"]), DOTENV_MODE, replace=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def _dotenv_text(path: Path) -> str:
    if not path.exists():
        return ""
    try:
        return read_text(path)[0]
    except Unreadable as error:
        raise ConfigError(f"{path} {error.message}", error.hint) from None


def _sets(line: str, name: str) -> bool:
    return re.match(rf"\s*(?:export\s+)?{name}\s*=", line) is not None


def _value_of(text: str, name: str) -> str | None:
    import io

    from dotenv.parser import parse_stream

    values = [binding.value for binding in parse_stream(io.StringIO(text)) if binding.key == name]
    return values[-1] if values else None


def _quoted(text: str) -> str:
    """Return text as `.env` takes it, whatever stands in it."""
    if re.fullmatch(r"[\w:.@/+=-]+", text, re.ASCII):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _place(path: Path, text: str, mode: int, *, replace: bool) -> None:
    """Write a file whole: beside its place first, synced, then moved there. Raises FileExistsError, OSError."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        if replace:
            os.replace(beside, path)  # noqa: PTH105 (both names are at hand)
        else:
            _link(beside, path, text, mode)
    finally:
        Path(beside).unlink(missing_ok=True)


def _link(beside: str, path: Path, text: str, mode: int) -> None:
    """Give the file its name unless that is taken. Raises FileExistsError, OSError."""
    try:
        os.link(beside, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: the name is taken first, then filled.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be written: {error.strerror}", "is the folder yours, and is there room?")
