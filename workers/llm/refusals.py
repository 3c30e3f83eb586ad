"""What a model's server says when it gives no answer, as the error whoever asks acts on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp

from workers.errors import ProviderError, ProviderRefused, ProviderUnavailable, RequestRefused
from workers.http import reason_of
from workers.logbook import visible
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

_NO_CREDIT: Final = b"credit balance is too low"
"""And Anthropic 400, as if the request were to blame."""

_NO_MODEL: Final = frozenset({"model_not_found", "invalid_model", "unknown_model"})

_CODES: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
"""Types of errors as statuses, for those that come without one: in the middle of a stream."""

_HINTS: Final = {
    401: "check [llm] api_key",
    402: "the account has no credit left",
    403: "check [llm] api_key",
    404: "check [llm] model and base_url",
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Refusals:
    """Words failures of one endpoint; its secrets (key, password) are taken out of everything the server says.

    clean takes out all others: a server quotes its request too, and `[llm.options]` may hold some.
    """

    __slots__ = ("_clean", "_own")

    def __init__(self, *secrets: str, clean: Callable[[str], str] = str) -> None:
        self._own = Redactor(secrets).clean
        self._clean = clean

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
        if status in OF_THE_REQUEST and _NO_CREDIT in raw:
            return ProviderRefused(text, _HINTS[402])
        if status in OF_THE_REQUEST and _names_model(_parsed_or_text(raw)):
            return ProviderRefused(text, "check [llm] model")
        return _refusal(status, text)

    def of_object(self, error: Any) -> ProviderError:
        """Return the error for an `error` object where an answer was expected: in a stream, or under status 200."""
        text = f"the model's server broke off: {self._quoted(error)}"
        code = error.get("code") if isinstance(error, dict) else None
        status = code if type(code) is int else _CODES.get(str(error.get("type")) if isinstance(error, dict) else "", 0)
        if code == _OUT_OF_CREDIT:
            return ProviderRefused(text, _HINTS[402])
        if _names_model(error):
            return ProviderRefused(text, "check [llm] model")
        if 400 <= status < 500 and status not in WORTH_ANOTHER_TRY:
            return _refusal(status, text)
        return ProviderUnavailable(text)

    def _quoted(self, said: Any) -> str:
        """Return a server's words on one line, without secrets: servers like to quote the key they refuse."""
        for name in ("error", "message", "detail"):
            said = said.get(name) or said if isinstance(said, dict) else said
        text = said if isinstance(said, str) else json.dumps(said)
        # Cut last: half a key is one too. What is cut off before is so long that no mask brings its edge into sight.
        return visible(" ".join(self._clean(self._own(text[:_LONGEST_READ])).split()))[:QUOTED]


def _refusal(code: int, text: str) -> ProviderRefused:
    return RequestRefused(text) if code in OF_THE_REQUEST else ProviderRefused(text, _HINTS.get(code, ""))


def _names_model(said: Any) -> bool:
    """Tell whether a refusal is of the model's name: another one may be answered."""
    error = said.get("error") or said if isinstance(said, dict) else None
    return isinstance(error, dict) and (error.get("param") == "model" or str(error.get("code")) in _NO_MODEL)


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
    return _reset_s(headers, now)


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


def _reset_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return when the allowance that is used up is full again, the latest one when several are.

    OpenAI tells durations ("6m0s", "20ms"), Anthropic moments ("2026-01-05T10:00:00Z").
    """
    waits = [
        sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(headers[f"x-ratelimit-reset-{kind}"]))
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0" and f"x-ratelimit-reset-{kind}" in headers
    ]
    for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
        if headers.get(f"anthropic-ratelimit-{kind}-remaining") == "0":
            moment = _moment(headers.get(f"anthropic-ratelimit-{kind}-reset", ""))
            waits += [max(0.0, moment - now)] if moment is not None else []
    return max(waits, default=None)


def _moment(said: str) -> float | None:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()


def _parsed_or_text(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")
