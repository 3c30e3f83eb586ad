"""Secrets taken out of every text that leaves the process."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from config.vocabulary import TOKEN_PATTERN, Secret

SHORTEST: Final = 6
"""Shorter values are no secrets: taking them out would garble every line."""

_TOKEN: Final = re.compile(TOKEN_PATTERN)
_ENCODED_TOKEN: Final = re.compile(r"(?<!\d)\d{6,}%3[Aa][\w%-]{30,}")


class Redactor:
    """Replaces everything shaped like a bot token, and every known secret in its usual spellings, by a mask.

    The known secrets may be replaced at any time; a text without any costs two searches.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: re.Pattern[str] | None = None
        self.replace_known(secrets)

    def replace_known(self, secrets: Iterable[str]) -> None:
        """Know these secrets from now on, and no others."""
        spellings = {s for secret in secrets if len(secret) >= SHORTEST for s in _spellings(secret)}
        # Longest first, so that a secret that contains another is taken out whole.
        ordered = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def clean(self, text: str) -> str:
        """Return text without secrets."""
        if self._known is not None:
            text = self._known.sub(Secret.MASK, text)
        if ":" in text:
            text = _TOKEN.sub(Secret.MASK, text)
        if "%3" in text:
            text = _ENCODED_TOKEN.sub(Secret.MASK, text)
        return text


def _spellings(secret: str) -> set[str]:
    """Return how a secret may be written in URLs, in JSON, in reprs and in authorization headers."""
    encoded = base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    return {
        secret,
        quote(secret, safe="", errors="replace"),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        encoded,
    }
