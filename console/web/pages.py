"""Lists a page at a time: `cursor` asks for what comes behind a page, a Link header names it, as RFC 8288 has it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from console.errors import BadRequest
from console.web.stream import encoded

LONGEST_CURSOR: Final = 1024
JSON: Final = "application/json"


def cursor_of(*place: str | int) -> str:
    """Return a place in a list as a caller may hold it: letters, digits, - and _."""
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(cursor: str, *kinds: type) -> tuple[Any, ...] | None:
    """Return the place a cursor stands for, None for an empty one. Raises BadRequest for what is none of ours."""
    if not cursor:
        return None
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        place = None
    if not isinstance(place, list) or tuple(map(type, place)) != kinds:
        raise BadRequest("the cursor is none of ours", "take it from the Link header of the page before")
    if any(isinstance(part, int) and not -(2**63) <= part < 2**63 for part in place):
        raise BadRequest("the cursor is none of ours", "take it from the Link header of the page before")
    return tuple(place)


def page(request: Request, rows: Sequence[Any] | dict[str, Any], cursor: str = "") -> Response:
    """Return a page of a list; cursor is where the next one begins, "" when this is the last."""
    headers = {}
    if cursor:
        following = request.url.include_query_params(cursor=cursor)
        headers["link"] = f'<{following.path}?{following.query}>; rel="next"'
    return Response(encoded(rows), media_type=JSON, headers=headers)
