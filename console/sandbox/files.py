"""Files people send: each function puts one on the server and returns the members of its message, for `SandboxBot.say`.

    bot.say(501, "What is this?", more=photo(bot, jpeg))

size is what the server declares in place of the true size, which may be a lie; album makes messages belong together.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from console.sandbox.bots import SandboxBot

More = dict[str, Any]

_SHOWN: Final[dict[str, More]] = {
    "video": {"width": 640, "height": 480},
    "animation": {"width": 320, "height": 240},
    "video_note": {"length": 240},
    "sticker": {"width": 512, "height": 512, "type": "regular", "is_animated": False, "is_video": False},
}
_LASTING: Final = frozenset({"video", "animation", "video_note", "voice", "audio"})
_NAMES: Final = {"voice": "voice.ogg", "video": "video.mp4", "sticker": "sticker.webp"}
_TYPES: Final = {"voice": "audio/ogg", "audio": "audio/mpeg", "video": "video/mp4", "animation": "video/mp4"}


def photo(bot: SandboxBot, *sizes: bytes, size: int | None = None, album: str = "") -> More:
    """Send a picture; sizes are its bytes, smallest first. size is declared for the largest."""
    shapes = [
        {**_shape(bot, data, f"photo{n}.jpg", size if data is sizes[-1] else None), "width": 90 * n, "height": 60 * n}
        for n, data in enumerate(sizes, 1)
    ]
    return {"photo": shapes, **_grouped(album)}


def document(
    bot: SandboxBot, data: bytes, name: str, mime: str = "", *, size: int | None = None, album: str = ""
) -> More:
    """Send a document."""
    named = {"file_name": name, **({"mime_type": mime} if mime else {})}
    return {"document": {**_shape(bot, data, name, size), **named}, **_grouped(album)}


def recording(
    bot: SandboxBot, data: bytes, kind: str = "voice", *, duration: float = 3, size: int | None = None
) -> More:
    """Send a voice, an audio, a video note, a video, an animation or a sticker."""
    shape = {**_shape(bot, data, _NAMES.get(kind, f"{kind}.bin"), size), **_SHOWN.get(kind, {})}
    if kind in _LASTING:
        shape["duration"] = duration
    if kind in _TYPES:
        shape["mime_type"] = _TYPES[kind]
    return {kind: shape}


def sent(bot: SandboxBot, described: More) -> More:
    """Send what another process describes: kind, base64, and name, mime, duration, size, album where it likes.

    Raises ValueError for a kind there is none of, KeyError for what is missing.
    """
    kind, data = str(described["kind"]), base64.b64decode(str(described["base64"]), validate=True)
    size, album = described.get("size"), str(described.get("album", ""))
    if kind == "photo":
        return photo(bot, data, size=size, album=album)
    if kind == "document":
        return document(
            bot, data, str(described.get("name", "file.bin")), str(described.get("mime", "")), size=size, album=album
        )
    if kind in _LASTING | _SHOWN.keys():
        return recording(bot, data, kind, duration=float(described.get("duration", 3)), size=size)
    raise ValueError(f"no file of kind {kind!r}: choose photo, document or one of {', '.join(sorted(_LASTING))}")


def _shape(bot: SandboxBot, data: bytes, name: str, size: int | None) -> More:
    file_id = bot.add_file(data, name)
    return {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": len(data) if size is None else size}


def _grouped(album: str) -> More:
    return {"media_group_id": album} if album else {}
