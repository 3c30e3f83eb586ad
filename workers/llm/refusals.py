"""What a model's server says when it gives no answer, as the error the engine acts on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp

from workers.errors import ProviderError, ProviderRefused, ProviderUnavailable, RequestRefused
from workers.http import reason_of
from workers.redaction import Redactor

WORTH_ANOTHER_TRY: Final = frozenset({408, 409, 425, 429})
"""Refusals that pass; 5xx and what happens to the connection do as well."""

OF_THE_REQUEST: Final = frozenset({400, 413, 422, 451})
"""Refusals of what was asked (too long, filtered): the next message may well be answered."""

QUOTED: Final = 300
"""Characters of a server's own words that are passed on."""

_LONGEST_READ: Final = 8192
"""Characters of them that are looked through for secrets."""

_OUT_OF_CREDIT: Final = "insufficient_quota"
"""OpenAI says 429 for an empty account too; waiting does not fill it."""

_HINTS: Final = {
    401: "check [llm] api_key",
    402: "the account has no credit left",
    403: "check [llm] api_key",
    404: "check [llm] model and base_url",
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Refusals:
    """Words failures of one endpoint; its secrets (key, password) are taken out of everything the server says."""

    __slots__ = ("_clean",)

    def __init__(self, *secrets: str) -> None:
        self._clean = Redactor(secrets).clean

    def of_status(self, status: int, headers: Mapping[str, str], raw: bytes, now: float) -> ProviderError:
        """Return the error for an HTTP status. now is Unix seconds, for a Retry-After that is a date."""
        said = self._quoted(_parsed_or_text(raw))
        text = f"the model's server answered {status}{f': {said}' if said else ''}"
        if 300 <= status < 400:
            return ProviderRefused(f"{text} (a redirect, which is not followed)", "check [llm] base_url")
        if status == 429 and _OUT_OF_CREDIT.encode() in raw:
            return ProviderRefused(text, _HINTS[402])
        if status >= 500 or status in WORTH_ANOTHER_TRY:
            return ProviderUnavailable(text, retry_after_s=retry_after_s(headers, now))
        return _refusal(status, text)

    def of_object(self, error: Any) -> ProviderError:
        """Return the error for an `error` object where an answer was expected: in a stream, or under status 200."""
        text = f"the model's server broke off: {self._quoted(error)}"
        code = error.get("code") if isinstance(error, dict) else None
        if type(code) is int and 400 <= code < 500 and code not in WORTH_ANOTHER_TRY:
            return _refusal(code, text)
        return ProviderRefused(text, _HINTS[402]) if code == _OUT_OF_CREDIT else ProviderUnavailable(text)

    def _quoted(self, said: Any) -> str:
        """Return a server's words on one line, without secrets: servers like to quote the key they refuse."""
        for name in ("error", "message", "detail"):
            said = said.get(name) or said if isinstance(said, dict) else said
        text = said if isinstance(said, str) else json.dumps(said)
        # Cut last: half a key is one too. What is cut off before is so long that no mask brings its edge into sight.
        return " ".join(self._clean(text[:_LONGEST_READ]).split())[:QUOTED]


def _refusal(code: int, text: str) -> ProviderRefused:
    return RequestRefused(text) if code in OF_THE_REQUEST else ProviderRefused(text, _HINTS.get(code, ""))


def of_network(error: Exception) -> ProviderError:
    """Return the error for a connection that could not be made or broke; never with the request, which holds the key."""
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | UnicodeError):
        return ProviderRefused("the address of the model's server is not usable", "check [llm] base_url")
    return ProviderUnavailable(f"the model's server cannot be reached: {reason_of(error)}")


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long the server asks to wait, by the most exact of its headers; None when it does not say."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is None:
        seconds = _until(value, now)
    if seconds is not None:
        return max(0.0, seconds)
    return _reset_s(headers)


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(date: str, now: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _reset_s(headers: Mapping[str, str]) -> float | None:
    """Return when the allowance that is used up is full again ("6m0s", "20ms"), the later one when both are."""
    waits = [
        sum(float(count) * _SECONDS[unit] for count, unit in _DURATION.findall(headers[f"x-ratelimit-reset-{kind}"]))
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0" and f"x-ratelimit-reset-{kind}" in headers
    ]
    return max(waits, default=None)


def _parsed_or_text(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")
