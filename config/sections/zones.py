"""Time zones, by the names of the IANA database."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1024)
def zone_name(text: str) -> str:
    """Return text when it is empty or names a time zone. Raises ValueError otherwise."""
    if text:
        try:
            ZoneInfo(text)
        except (OSError, ValueError, KeyError):
            # Not found, a folder of the database, or no name at all.
            raise ValueError("not a time zone") from None
    return text
