"""Files fetched from the Bot API. Their address holds the token: it leaves this module in no error and no log."""

from __future__ import annotations

from typing import Any, Final

from telegram.error import TelegramError
from yarl import URL

from config.sections.telegram import TelegramSection
from workers.channels.faults import Garbage, Refused
from workers.channels.transport import AiohttpRequest, json_body

DOWNLOAD_S: Final = 60.0
"""For a file of 20 MB, the largest the server gives, over a slow line."""


async def fetched(request: AiohttpRequest, section: TelegramSection, file_id: str, limit_bytes: int) -> bytes:
    """Return the bytes of a file. Raises TelegramErrors; Refused for one larger than the limit. The caller bounds the time."""
    token = section.token.reveal() if section.token else ""
    described = await request.call(
        URL(f"{section.base_url}{token}/getFile", encoded=True), json_body({"file_id": file_id})
    )
    url = URL(f"{section.base_file_url}{token}/{_path_of(described)}", encoded=True)
    status, data = await request.fetch(url, limit_bytes)
    if status != 200:
        raise Refused(status, "the file is not there any more")
    return data


def _path_of(described: Any) -> str:
    """Return where a file lies. Raises TelegramError when the server does not say so, or keeps it on its own disk."""
    path = described.get("file_path") if isinstance(described, dict) else None
    if not isinstance(path, str) or not path.isprintable() or any(c in path for c in "?#\\") or ".." in path.split("/"):
        raise Garbage(200)
    if path.startswith("/"):
        raise TelegramError("the Bot API server keeps files on its own disk (--local) and gives none")
    return path
