"""Files that come with a message, as far as the server describes them. No type in that is trusted."""

from __future__ import annotations

import math
from typing import Any, Final

from workers.channels.base import Attachment

KINDS: Final = ("photo", "voice", "video_note", "audio", "video", "sticker", "animation", "document")
"""Kinds of media of the Bot API; a message has one. An animation comes as a document too, which is left out."""

_MAX_SIZES: Final = 16
_TYPES: Final = {"photo": "image/jpeg", "voice": "audio/ogg", "video_note": "video/mp4"}
"""What Telegram makes of these kinds; it does not always say so."""


def attachments_of(message: dict[str, Any]) -> tuple[Attachment, ...]:
    """Return the file of a message; of a photo all its sizes, smallest first."""
    for kind in KINDS:
        if kind in message:
            described = message[kind] if kind == "photo" else [message[kind]]
            if not isinstance(described, list):
                return ()
            found = [_attachment(kind, file) for file in described[:_MAX_SIZES]]
            return tuple([attachment for attachment in found if attachment is not None])
    return ()


def _attachment(kind: str, file: object) -> Attachment | None:
    if not isinstance(file, dict) or not (file_id := _text(file, "file_id")):
        return None
    return Attachment(
        kind,
        file_id,
        _text(file, "file_unique_id"),
        _whole(file, "file_size"),
        _text(file, "mime_type") or _TYPES.get(kind, ""),
        _text(file, "file_name"),
        _seconds(file.get("duration")),
        _whole(file, "width") or _whole(file, "length"),
        _whole(file, "height") or _whole(file, "length"),
    )


def _text(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _whole(holder: dict[str, Any], key: str) -> int:
    value = holder.get(key)
    return value if type(value) is int and 0 < value < 2**63 else 0


def _seconds(value: object) -> float:
    if type(value) is float and math.isfinite(value) and value > 0:
        return value
    return float(value) if type(value) is int and 0 < value < 2**53 else 0.0
