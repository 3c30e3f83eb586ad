"""Reading a request's parameters as the Bot API does: query string, form, multipart or JSON, any of them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from console.sandbox.answers import bad_request

Params = dict[str, Any]


async def read_params(request: web.BaseRequest, query: str) -> Params:
    """Return all parameters, those of the body over those of the query. Files are aiohttp FileFields."""
    params: Params = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
    if not request.body_exists:
        return params
    kind = request.headers.get("Content-Type", "")
    if kind.startswith("multipart/"):
        params.update(await request.post())
    elif kind.startswith("application/json"):
        params.update(_object(await request.read()))
    else:
        body = (await request.read()).decode(errors="replace")
        params.update(parse_qsl(body, keep_blank_values=True))
    return params


def _object(body: bytes) -> Params:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        raise bad_request("can't parse JSON object") from None
    if not isinstance(value, dict):
        raise bad_request("object expected as JSON content")
    return value


def integer(params: Params, name: str, default: int = 0) -> int:
    """Return a whole number; what is none counts as the default, as the server reads it."""
    value = params.get(name)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        return default


def flag(params: Params, name: str) -> bool:
    """Return a yes or no."""
    return str(params.get(name, "")).strip().lower() in {"true", "yes", "1"}


def structure(params: Params, name: str) -> Any:
    """Return a parameter that is JSON (JSON text in forms); None when absent. Raises Refused."""
    value = params.get(name)
    if not isinstance(value, str):
        return value
    if not value:
        return None
    try:
        return json.loads(value)
    except ValueError:
        raise bad_request(f"can't parse {name} JSON object") from None


def chat_of(params: Params) -> int | None:
    """Return the chat a request is about, None when it names none by number."""
    value = params.get("chat_id")
    if isinstance(value, int):
        return value
    try:
        return int(value) if value else None
    except (TypeError, ValueError):
        return None


def topic_of(params: Params) -> int | None:
    """Return the topic (message thread) a request is about, None outside topics."""
    return integer(params, "message_thread_id") or None
