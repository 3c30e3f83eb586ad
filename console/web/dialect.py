"""Errors as OpenAI's API gives them, for those paths that speak as it does."""

from __future__ import annotations

from typing import Any, Final

PATHS: Final = ("/v1/chat/completions", "/v1/models")

_WORDS: Final = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "not_allowed"),
    404: ("invalid_request_error", "model_not_found"),
    409: ("invalid_request_error", "conflict"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}
"""Status → type and code."""


def spoken_at(path: str) -> bool:
    """Tell whether OpenAI's clients ask at a path."""
    return path.startswith(PATHS)


def error_of(status: int, name: str, message: str, detail: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return an error of ours as OpenAI's: the status (what makes no sense is 400 there) and the body.

    Its detail goes along, as `param` where it is one field's.
    """
    status = 400 if status == 422 else status
    kind, code = _WORDS.get(status, ("server_error" if status >= 500 else "invalid_request_error", name))
    mistakes = detail.get("mistakes") or [{}]
    where = str(mistakes[0].get("where", "")).removeprefix("body.") or detail.get("param")
    error = {"message": message, "type": kind, "param": where, "code": code, "detail": detail}
    return status, {"error": error}
