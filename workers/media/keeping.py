"""Files kept beyond their turn, where a bot's file asks for it: `media/<bot_id>/` beside the database."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio.to_thread

if TYPE_CHECKING:
    from workers.channels.base import Attachment, Incoming

FOLDER: Final = "media"
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")
_ENDINGS: Final = {"photo": ".jpg", "voice": ".ogg", "video_note": ".mp4"}


async def keep(root: Path, bot_id: str, message: Incoming, attachment: Attachment, data: bytes) -> None:
    """Write a file that only its owner may read; once, however often its turn is begun. Raises OSError."""
    name = _UNFIT.sub("_", attachment.name)[-64:].lstrip(".") or f"file{_ENDINGS.get(attachment.kind, '')}"
    folder = root / FOLDER / bot_id
    unique = _UNFIT.sub("_", attachment.file_unique_id)[:64]
    path = folder / f"{message.user_id or 0}-{message.update_id}-{unique}-{name}"
    await anyio.to_thread.run_sync(_write, path, data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    beside.replace(path)


def prune(root: Path, before_s: float) -> int:
    """Delete what was kept of any bot before a moment (Unix seconds); return how many files. Blocks."""
    gone = 0
    for path in (root / FOLDER).glob("*/*"):
        with suppress(OSError):
            if path.is_file() and path.stat().st_mtime < before_s:
                path.unlink()
                gone += 1
    return gone


def forget(root: Path, bot_id: str, user_id: int) -> int:
    """Delete what one person sent to a bot; return how many files. Blocks. Raises OSError."""
    files = list((root / FOLDER / bot_id).glob(f"{user_id}-*"))
    for path in files:
        path.unlink(missing_ok=True)
    return len(files)


def remove(root: Path, bot_id: str) -> None:
    """Delete all that was kept of a bot. Blocks. Raises OSError."""
    folder = root / FOLDER / bot_id
    if folder.is_dir():
        shutil.rmtree(folder)
